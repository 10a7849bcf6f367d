"""Carrying out actions, each once: claim, look for an earlier try's effect, call the vendor, record."""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog

from revpipe import feed, outcomes, stage, versions, work
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import EffectUnknown, RevpipeError
from revpipe.expiry import wanted_until
from revpipe.hold import Hold
from revpipe.outcomes import Outcome
from revpipe.ports import ActionAdapter, Order
from revpipe.schemas.upcast import to_current
from revpipe.services import Services
from revpipe.work import ACTIONS, Chunk, Claim

log = structlog.get_logger(__name__)

STARTED: Final = ", state = 'running'"
CALLED: Final = ", maybe_done = true, tried_at = :now, first_tried_at = coalesce(t.first_tried_at, :now)"
"""Written just before the vendor is called. A claim alone does not count as a call: the vendor's settle time runs
from the last call, however often was looked since."""
LOOKS: Final = 4
"""How often a vendor is asked for an effect over its settle time: most show at once, so most are found early."""


def run(chunk: Chunk, services: Services) -> None:
    """Carry out the actions of the chunk, which all go to one adapter."""
    # What makes it last is the renewal just before the call.
    with transaction(services.engine, durable=False) as tx:
        asked_at, now = time.monotonic(), services.clock.now()
        held = work.claim(tx, ACTIONS, "act", chunk, now, STARTED, services.lease)
        isolated = stage.quarantines(held)
        behind = feed.behind(held)
        held = held.only(outcomes.stop_exhausted(tx, held.rows, now))
    crash_point("act.claimed", held.rows)
    if held.rows:
        with stage.given_back(held, services), stage.renewed(held, services, asked_at) as hold:
            _carry_out(held, hold, services)
    crash_point("act.recorded", held.rows)
    feed.offer(services, [*isolated, *behind])


def _carry_out(held: Claim, hold: Hold, services: Services) -> None:
    newer = _newer(held)
    readable = held.only([row for row in held.rows if row["action_id"] not in newer])
    found = {**newer, **_verified(readable, services)}
    found.update(_unwanted([row for row in held.rows if row["action_id"] not in found], services))
    crash_point("act.looked", held.rows)
    todo = [row for row in held.rows if row["action_id"] not in found]
    outcomes.record(held, found, services)
    for rows in _batches(todo, services):
        outcomes.record(held, _perform(held.only(rows), hold, services), services)


def _newer(held: Claim) -> dict[uuid.UUID, Outcome]:
    """Actions that a later release wrote wait for one of its workers; what was unsure of them stays so."""
    unsure = {row["action_id"] for row in held.rows if row["maybe_done"]}
    return {
        key: outcomes.StillUnsure(error, looked=True) if key in unsure else error
        for key, error in versions.newer_actions(held.rows).items()
    }


def _unwanted(rows: Sequence[Mapping[str, Any]], services: Services) -> dict[uuid.UUID, Outcome]:
    """Actions, surely not carried out yet, that their rule wants no more."""
    now = services.clock.now()
    ends = {row["action_id"]: wanted_until(row) for row in rows}
    return {key: outcomes.Unwanted() for key, end in ends.items() if end is not None and now >= end}


def _batches(rows: Sequence[Mapping[str, Any]], services: Services) -> list[Sequence[Mapping[str, Any]]]:
    if not rows:
        return []
    size = _adapter(rows[0], services).batch
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _verified(held: Claim, services: Services) -> dict[uuid.UUID, Outcome]:
    """For rows with an earlier try of unknown end: what a look at the vendor says. A row that may surely be
    tried again has no entry."""
    found: dict[uuid.UUID, Outcome] = {}
    for row in held.rows:
        if row["maybe_done"]:
            outcome = _look(row, _adapter(row, services), services)
            if outcome is not None:
                found[row["action_id"]] = outcome
    return found


def _look(row: Mapping[str, Any], adapter: ActionAdapter, services: Services) -> Outcome | None:
    try:
        effect = adapter.find(order_of(row))
    except EffectUnknown as error:
        return error
    except RevpipeError as error:
        return outcomes.StillUnsure(error, looked=True)
    except Exception as error:
        # A fault of ours in one look must not leave the other rows of the chunk without an outcome.
        log.exception("adapter_broke", adapter=adapter.name, actions=1)
        return outcomes.StillUnsure(error, looked=True)
    if effect is not None:
        return outcomes.Found(effect)
    now = services.clock.now()
    settled = (row["tried_at"] or row["first_tried_at"]) + adapter.settle
    if now < settled:
        return outcomes.NotYet(min(settled, now + adapter.settle / LOOKS))
    return None


def _perform(held: Claim, hold: Hold, services: Services) -> dict[uuid.UUID, Outcome]:
    """Call the vendor for rows whose lease is ours at this very moment."""
    asked_at = time.monotonic()
    with transaction(services.engine) as tx:
        ours = work.renew(tx, held, services.clock.now(), CALLED)
    hold.begin(asked_at)
    rows = [row for row in held.rows if row["action_id"] in ours]
    if not rows:
        return {}
    adapter = _adapter(rows[0], services)
    orders = [order_of(row) for row in rows]
    crash_point("act.before_effect", rows)
    try:
        answers = adapter.perform(orders)
    except RevpipeError as error:
        # Of several orders one may have gone out before the error; of a single one the error itself can tell.
        sure = error if len(orders) == 1 else outcomes.StillUnsure(error)
        return {order.action_id: sure for order in orders}
    except Exception as error:
        # A fault of ours may come after the vendor has acted: the outcome is unsure, never a plain failure.
        log.exception("adapter_broke", adapter=adapter.name, actions=len(orders))
        return {order.action_id: outcomes.StillUnsure(error) for order in orders}
    crash_point("act.after_effect", rows)
    silent = outcomes.StillUnsure(RevpipeError(f"{adapter.name} gave no outcome for this action"))
    return {order.action_id: answers.get(order.action_id, silent) for order in orders}


def _adapter(row: Mapping[str, Any], services: Services) -> ActionAdapter:
    return services.adapters[row["adapter"]]


def order_of(row: Mapping[str, Any]) -> Order:
    """What the adapter is asked to do, from the action's row of any version that this release reads."""
    row = to_current(row, "action")
    return Order(
        action_id=row["action_id"],
        type=row["type"],
        params=row["params"],
        correlation_id=row["correlation_id"],
        deal_id=row["deal_id"],
        account_id=row["account_id"],
        contact_id=row["contact_id"],
        attempt=row["attempts"],
        created_at=row["created_at"],
        first_tried_at=row["first_tried_at"],
        tried_at=row["tried_at"],
    )
