"""Carrying out `create_task`: a create has no idempotency key, so each task bears a marker to be found by."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from adapters.http import Rejected
from adapters.hubspot import answers, tasks
from adapters.hubspot.answers import Record
from adapters.hubspot.client import FRESH, TRACE, HubSpotClient, slices
from adapters.hubspot.tasks import marker
from revpipe.errors import EffectUnknown, NotFound, RevpipeError, Transient
from revpipe.ports import Effect, Order

Outcomes = dict[uuid.UUID, Effect | RevpipeError]
MAX_LOOKED_AT: Final = 5000
"""How many tasks of one record are read in search of a marker before we say that we can't know."""


def perform(client: HubSpotClient, orders: Sequence[Order]) -> Outcomes:
    """Make one task for each order, all of them in one call."""
    if not orders:
        return {}
    if len(orders) == 1:
        return {orders[0].action_id: _create(client, orders[0])}
    inputs = [tasks.creation(order) | {TRACE: order.key} for order in orders]
    try:
        answer = client.create_many("tasks", inputs)
    except Rejected as error:
        return _perform_the_rest(client, orders, error)
    except RevpipeError as error:
        return dict.fromkeys((order.action_id for order in orders), error)
    return _outcomes(orders, answer)


def find(client: HubSpotClient, order: Order) -> Effect | None:
    """The task that bears the order's marker, None if there surely is none. Raises EffectUnknown if unsure.

    Looked for among the tasks of what it hangs on, never by search, whose index lags behind the data.
    """
    targets = tasks.targets(order)
    if not targets:
        raise EffectUnknown("the task hangs on no deal, account or contact, so HubSpot can't be asked for it")
    name, record_id = targets[0]
    object_type = tasks.TARGETS[name][0]
    try:
        # A merged record answers with its survivor, which holds the associations now.
        record_id = client.record(object_type, record_id, ()).id
    except NotFound as error:
        raise _unsure(order, f"{object_type} {record_id} is gone, and its list of tasks with it") from error
    links = client.links(object_type, "tasks", [record_id])
    if record_id in links.errors:
        raise links.errors[record_id]
    task = _marked(client, order, [link.id for link in links.to.get(record_id, [])])
    return _effect(task) if task else None


def _create(client: HubSpotClient, order: Order) -> Effect | RevpipeError:
    try:
        return _effect(client.create("tasks", tasks.creation(order)))
    except RevpipeError as error:
        return error


def _perform_the_rest(client: HubSpotClient, orders: Sequence[Order], error: Rejected) -> Outcomes:
    """One bad input may fail a whole batch, of which nothing is made then: try again without it."""
    outcomes: Outcomes = {}
    for named, fault in answers.failures(error.body, TRACE):
        guilty = [order for order in orders if order.key in named]
        outcomes |= {order.action_id: _refusal(fault, error) for order in guilty}
    rest = [order for order in orders if order.action_id not in outcomes]
    if outcomes:
        return outcomes | perform(client, rest)
    return {order.action_id: _create(client, order) for order in rest}


def _outcomes(orders: Sequence[Order], answer: Mapping[str, object]) -> Outcomes:
    """Each order's outcome by trace id or marker: results never line up with inputs."""
    outcomes: Outcomes = {}
    for named, fault in answers.failures(answer, TRACE):
        outcome = answers.failure_of_write(fault)
        outcomes |= {order.action_id: outcome for order in orders if order.key in named}
    by_trace = {order.key: order for order in orders}
    for item in answers.items(answer, "results"):
        made, traced = answers.record(item), by_trace.get(str(item.get(TRACE)))
        if made:
            borne = [traced] if traced else [order for order in orders if _bears(made, order)]
            outcomes |= {order.action_id: _effect(made) for order in borne}
    lost = Transient("hubspot's answer tells nothing about this task", ambiguous=True)
    return {order.action_id: outcomes.get(order.action_id, lost) for order in orders}


def _marked(client: HubSpotClient, order: Order, task_ids: Sequence[str]) -> Record | None:
    newest_first = sorted(task_ids, key=lambda task_id: (len(task_id), task_id), reverse=True)
    unreadable = 0
    for part in slices(newest_first[:MAX_LOOKED_AT], 100):
        batch = client.read("tasks", part, (tasks.BODY,))
        for task in batch.records.values():
            if _bears(task, order):
                return task
        unreadable += len(part) - len(batch.records)
    if unreadable or len(newest_first) > MAX_LOOKED_AT:
        raise _unsure(order, f"{unreadable} of {len(newest_first)} tasks could not be read, one may be the one")
    return None


def _unsure(order: Order, why: str) -> RevpipeError:
    """Transient while what is new may not be readable yet, so that it is looked for again; then EffectUnknown."""
    # What the last call made is the newest; the first may lie before an outage.
    tried_at = order.tried_at or order.first_tried_at
    if tried_at is not None and datetime.now(UTC) - tried_at < FRESH:
        return Transient(why)
    return EffectUnknown(why)


def _bears(task: Record, order: Order) -> bool:
    return marker(order) in str(task.properties.get(tasks.BODY) or "")


def _refusal(fault: RevpipeError, whole: Rejected) -> RevpipeError:
    """What one item's error means when the whole call was refused: never that it might work later."""
    return whole if isinstance(fault, Transient) else fault


def _effect(task: Record | None) -> Effect:
    return Effect(external_id=task.id if task else None, detail={"object_type": "task"})
