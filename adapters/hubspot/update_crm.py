"""Carrying out `update_crm`: absolute values, which the record and its history show afterwards."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from adapters.hubspot import answers
from adapters.hubspot.answers import Record
from adapters.hubspot.client import TRACE, HubSpotClient
from adapters.hubspot.params import OBJECT_TYPES
from adapters.hubspot.values import same
from revpipe.errors import NotFound, Permanent, RevpipeError
from revpipe.ports import Effect, Order

Outcomes = dict[uuid.UUID, Effect | RevpipeError]
CLOCK_SLACK: Final = timedelta(seconds=30)
"""How far our clock may be ahead of HubSpot's when a property's history is compared with the time of our call."""


def perform(client: HubSpotClient, orders: Sequence[Order]) -> Outcomes:
    """Write each order's properties, in as few calls as there are object types."""
    outcomes: Outcomes = {}
    for batch in _batches(orders):
        outcomes |= _update_many(client, batch) if len(batch) > 1 else _update_each(client, batch)
    return outcomes


def find(client: HubSpotClient, order: Order) -> Effect | None:
    """The effect if each of the order's values stands in the record, or stood there since the first call.

    What a person has changed after it is their decision and must not be written over. None if a value was never
    set since: then to write is due.
    """
    wanted = order.params["properties"]
    names = list(wanted)
    try:
        record = client.record(OBJECT_TYPES[order.params["object"]], order.params["id"], names, names)
    except NotFound:
        return None
    since = order.first_tried_at - CLOCK_SLACK if order.first_tried_at else None
    had = (_has_had(record, name, value, since) for name, value in wanted.items())
    return _effect(order, record) if all(had) else None


def _batches(orders: Sequence[Order]) -> Iterator[list[Order]]:
    """Orders of one object type, no record twice: two writes to one record go in two calls, in order."""
    waiting = list(orders)
    while waiting:
        object_type = waiting[0].params["object"]
        first_of: dict[str, Order] = {}
        for order in waiting:
            if order.params["object"] == object_type:
                first_of.setdefault(order.params["id"], order)
        yield list(first_of.values())
        taken = {order.action_id for order in first_of.values()}
        waiting = [order for order in waiting if order.action_id not in taken]


def _update_many(client: HubSpotClient, orders: Sequence[Order]) -> Outcomes:
    inputs = [
        {"id": order.params["id"], "properties": dict(order.params["properties"]), TRACE: order.key} for order in orders
    ]
    try:
        answer = client.update_many(OBJECT_TYPES[orders[0].params["object"]], inputs)
    except Permanent:
        # One bad input may fail them all, of which nothing is done then: each goes alone.
        return _update_each(client, orders)
    except RevpipeError as error:
        return dict.fromkeys((order.action_id for order in orders), error)
    return _outcomes(client, orders, answer)


def _outcomes(client: HubSpotClient, orders: Sequence[Order], answer: Mapping[str, object]) -> Outcomes:
    by_id = {order.params["id"]: order for order in orders}
    outcomes: Outcomes = {}
    for record in filter(None, map(answers.record, answers.items(answer, "results"))):
        if record.id in by_id:
            outcomes[by_id[record.id].action_id] = _effect(by_id[record.id], record)
    for named, fault in answers.failures(answer, TRACE, "ids"):
        guilty = [order for order in orders if order.key in named or order.params["id"] in named]
        if not isinstance(fault, NotFound):
            outcomes |= dict.fromkeys((order.action_id for order in guilty), answers.failure_of_write(fault))
    # An id that was merged away is unknown to a batch, but not to a single update.
    return outcomes | _update_each(client, [order for order in orders if order.action_id not in outcomes])


def _update_each(client: HubSpotClient, orders: Sequence[Order]) -> Outcomes:
    return {order.action_id: _update(client, order) for order in orders}


def _update(client: HubSpotClient, order: Order) -> Effect | RevpipeError:
    params = order.params
    try:
        record = client.update(OBJECT_TYPES[params["object"]], params["id"], dict(params["properties"]))
    except RevpipeError as error:
        return error
    return _effect(order, record)


def _has_had(record: Record, name: str, value: str, since: datetime | None) -> bool:
    """Whether a property has the value now, or was given it at `since` or later."""
    if same(record.properties.get(name), value):
        return True
    entries = record.history.get(name, ()) if since else ()
    return any(entry.at >= since and same(entry.value, value) for entry in entries if since)


def _effect(order: Order, record: Record) -> Effect:
    return Effect(external_id=record.id, detail={"object_type": order.params["object"]})
