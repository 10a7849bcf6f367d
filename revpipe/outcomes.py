"""Writing what became of tried actions: done, tried again later, failed, or unknown and left to a person."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import Connection

from config.queues import RECHECK, queue_for
from revpipe import dead_letters, dispositions, failures, retry, trail, work
from revpipe.approval_changes import touch
from revpipe.crash import crash_point
from revpipe.db import sql, to_json, transaction
from revpipe.errors import CircuitOpen, EffectUnknown, RateLimited, RevpipeError, Transient
from revpipe.expiry import wanted_until
from revpipe.hold import LeaseOver
from revpipe.ports import Effect
from revpipe.services import Services
from revpipe.time_scale import shortened
from revpipe.work import ACTIONS, Claim


@dataclass(frozen=True, slots=True)
class Found:
    """The effect of an earlier try was found at the vendor."""

    effect: Effect


@dataclass(frozen=True, slots=True)
class NotYet:
    """No effect is to be seen, but one may still become visible until `until`: look again then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class StillUnsure:
    """The try, or if `looked` only the look for it, broke off: the effect may be there."""

    error: Exception
    looked: bool = False


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nobody was called: the action has waited for longer than its rule wants it."""


SETTLING: Final = "settling"
WAITS_AT_MOST: Final = timedelta(hours=24)
"""How long an action waits for a vendor that is down: what comes later than that is no longer wanted."""
HOLDS: Final = timedelta(minutes=1)
"""How long the facts that an approved action was last judged by are good for, should it have to wait."""

Outcome = Effect | Found | NotYet | StillUnsure | Unwanted | RevpipeError


def record(held: Claim, found: Mapping[uuid.UUID, Outcome], services: Services) -> None:
    """Write the outcomes of those rows whose claim is still ours, and end signals that have nothing open."""
    if not found:
        return
    now = services.clock.now()
    with transaction(services.engine) as tx:
        ours = set(work.still_held(tx, held))
        rows = [row for row in held.rows if row["action_id"] in found and row["action_id"] in ours]
        good = [row for row in rows if isinstance(found[row["action_id"]], Effect | Found)]
        _done(tx, good, found, held, now)
        ended = [row["signal_id"] for row in good]
        for row in rows:
            outcome = found[row["action_id"]]
            if not isinstance(outcome, Effect | Found) and _write(tx, row, outcome, now):
                ended.append(row["signal_id"])
        dispositions.settle(tx, ended, now)
        touch(tx, [row["action_id"] for row in rows if row["released_at"]], now)
        crash_point("act.written", rows)


def stop_exhausted(tx: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """End actions that were claimed too often or kill their workers; return the others.

    One that may have had its effect is left to a person. One that never came to its call is buried.
    """
    good, ended = [], []
    for row in rows:
        verdict = failures.hopeless(row)
        if verdict is None:
            good.append(row)
        elif row["maybe_done"]:
            _unknown(tx, row, verdict[1], now)
        else:
            _bury(tx, row, verdict[1], verdict[0], now)
            ended.append(row["signal_id"])
    dispositions.settle(tx, ended, now)
    touch(tx, {row["action_id"] for row in rows if row["released_at"]} - {row["action_id"] for row in good}, now)
    return good


def not_asked(tx: Connection, row: Mapping[str, Any], error: RevpipeError, now: datetime) -> bool:
    """Nobody was called for the action, since what had to be known before could not be; True if that ends it."""
    return _failed(tx, row, error, now, called=False)


def _write(
    tx: Connection, row: Mapping[str, Any], outcome: NotYet | StillUnsure | Unwanted | RevpipeError, now: datetime
) -> bool:
    """Write the outcome of an action that is not done; True if it has ended all the same."""
    if isinstance(outcome, Unwanted):
        _expire(tx, row, now)
        return True
    if isinstance(outcome, EffectUnknown):
        _unknown(tx, row, outcome, now)
        return False
    if isinstance(outcome, NotYet):
        _again(tx, row, outcome.until, SETTLING, None, now, maybe_done=True)
        return False
    return _failed(tx, row, outcome, now)


def _done(
    tx: Connection, rows: Sequence[Mapping[str, Any]], found: Mapping[uuid.UUID, Outcome], held: Claim, now: datetime
) -> None:
    """End actions that had their effect, all of them in one statement."""
    entries, effects = [], []
    for row in rows:
        outcome = found[row["action_id"]]
        effect = outcome.effect if isinstance(outcome, Found) else cast(Effect, outcome)
        stored = {"external_id": effect.external_id, "url": effect.url, "detail": dict(effect.detail)}
        effects.append({"action_id": row["action_id"], "effect": stored})
        detail = {
            "type": row["type"],
            "attempt": row["attempts"],
            "external_id": effect.external_id,
            **held.spent(row, now),
            "worker": work.worker_name(),
        }
        entries.append(_entry("found_done" if isinstance(outcome, Found) else "done", row, detail))
    if effects:
        tx.execute(sql(_DONE), {"effects": to_json(effects), "now": now})
    trail.record(tx, now, entries)


_DONE: Final = (
    "UPDATE actions AS a SET state = 'done', effect = d.effect, maybe_done = false, done_at = :now, queue = NULL,"
    " reason = NULL, claim_id = NULL, lease_until = NULL"
    " FROM json_to_recordset(CAST(:effects AS json)) AS d(action_id uuid, effect jsonb) WHERE a.action_id = d.action_id"
)


def _failed(
    tx: Connection, row: Mapping[str, Any], outcome: RevpipeError | StillUnsure, now: datetime, *, called: bool = True
) -> bool:
    error = outcome.error if isinstance(outcome, StillUnsure) else outcome
    unsure = isinstance(outcome, StillUnsure) or (called and isinstance(error, Transient) and error.ambiguous)
    called = called and not (isinstance(outcome, StillUnsure) and outcome.looked)
    decision = retry.decide(error, row["attempts"], failures.policy_of(row["queue"]), now)
    ends = _wanted_since(row) + shortened(WAITS_AT_MOST)
    if not isinstance(decision, retry.Bury) and now >= ends:
        decision = retry.Bury("expired_waiting")
    wanted = wanted_until(row)
    if wanted is not None and now < wanted:
        # When its rule's time is up it is due, so that it ends then and not when the vendor is back.
        ends = min(ends, wanted)
    if isinstance(decision, retry.RetryAt):
        due = decision.due if wanted is None else min(decision.due, ends)
        _again(tx, row, due, decision.reason, error, now, maybe_done=unsure, called=called)
        return False
    if isinstance(decision, retry.Park):
        due = min(decision.until, ends)
        _again(tx, row, due, decision.reason, error, now, maybe_done=unsure, called=called, park=decision)
        return False
    if unsure:
        _unknown(tx, row, error, now)
        return False
    _bury(tx, row, error, decision.reason, now)
    return True


def _wanted_since(row: Mapping[str, Any]) -> datetime:
    """Since when it waits for its vendor: what a person took to answer is not the vendor's."""
    since: datetime = max(at for at in (row["created_at"], row["replayed_at"], row["released_at"]) if at is not None)
    return since


def _again(
    tx: Connection,
    row: Mapping[str, Any],
    due: datetime,
    reason: str,
    error: Exception | None,
    now: datetime,
    *,
    maybe_done: bool,
    called: bool = False,
    park: retry.Park | None = None,
) -> None:
    values: dict[str, Any] = {"state": "ready", "maybe_done": maybe_done, "reason": reason}
    if called and isinstance(error, CircuitOpen | RateLimited | LeaseOver):
        # Nothing was done, and of those whom a circuit refused the longest untried is its next probe.
        values |= {"tried_at": row["tried_at"], "first_tried_at": row["first_tried_at"]}
    elif called:
        # A call that broke off may have had its effect until its very end: the settle time runs from there.
        values["tried_at"] = now
    # To wait, for a vendor, for its rate or for an effect to show, is no failure: it burns no attempt.
    if (park and not getattr(error, "opened", False)) or reason in (RateLimited.code, SETTLING):
        values["attempts"] = max(0, row["attempts"] - 1)
    if park and park.waits_for:
        values["waits_for"] = park.waits_for
    if row["released_at"] is not None and not maybe_done and (park or due - now > shortened(HOLDS)):
        # What a person said yes to went by facts that may hold no more when its vendor is back.
        values["queue"] = queue_for(RECHECK, row["priority"])
    work.postpone(tx, ACTIONS, [row["action_id"]], due, values)
    detail = _trouble(row, reason, error) | {"wait_s": round((due - now).total_seconds(), 1)}
    if park and park.waits_for:
        detail["waits_for"] = park.waits_for
    trail.record(tx, now, [_entry("parked" if park else "retry", row, detail)])


def _expire(tx: Connection, row: Mapping[str, Any], now: datetime) -> None:
    """Its rule's time is up, and surely nothing was done: it ends without effect, and nobody need look at it."""
    _end(tx, row, "expired", "no_longer_wanted", now)
    waited = now - (row["replayed_at"] or row["created_at"])
    detail = {
        "type": row["type"],
        "by": "rule",
        "reason": "no_longer_wanted",
        "after_s": round(waited.total_seconds(), 1),
        "worker": work.worker_name(),
    }
    trail.record(tx, now, [_entry("expired", row, detail)])


def _unknown(tx: Connection, row: Mapping[str, Any], error: Exception, now: datetime) -> None:
    """Nobody can tell whether the effect took place: stop, and let a person look."""
    _end(tx, row, "unknown", "effect_unknown", None)
    trail.record(tx, now, [_entry("unknown", row, _trouble(row, "effect_unknown", error))])


def _bury(tx: Connection, row: Mapping[str, Any], error: Exception, reason: str, now: datetime) -> None:
    letter = failures.letter_of("act", row["action_id"], row, error, reason)
    letter = replace(letter, action_id=row["action_id"], first_at=row["first_tried_at"])
    dead_letters.bury(tx, [letter], now)
    _end(tx, row, "failed", reason, now)
    trail.record(tx, now, [_entry("buried", row, _trouble(row, reason, error))])


def _end(tx: Connection, row: Mapping[str, Any], state: str, reason: str, done_at: datetime | None) -> None:
    tx.execute(
        sql(
            # What is buried has surely had no effect, so a replay may call without a look; what is unknown never.
            "UPDATE actions SET state = :state, reason = :reason, maybe_done = :unsure, done_at = :done_at,"
            " queue = NULL, claim_id = NULL, lease_until = NULL WHERE action_id = :id"
        ),
        {
            "state": state,
            "reason": reason,
            "unsure": state == "unknown",
            "done_at": done_at,
            "id": row["action_id"],
        },
    )


def _trouble(row: Mapping[str, Any], reason: str, error: Exception | None) -> dict[str, Any]:
    detail = {"type": row["type"], "attempt": row["attempts"], "reason": reason, "worker": work.worker_name()}
    if error is not None:
        detail |= failures.told_of(error)
    return detail


def _entry(what: str, row: Mapping[str, Any], detail: Mapping[str, Any]) -> trail.Entry:
    return trail.Entry(what, row["signal_id"], row["action_id"], row["correlation_id"], detail)
