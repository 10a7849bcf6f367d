"""Writing what became of a request: shown, to be tried again, undeliverable, or over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from revpipe import failures, retry, trail, work
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.errors import EffectUnknown, RateLimited
from revpipe.messenger import Sent
from revpipe.notifying import telling
from revpipe.services import Services
from revpipe.time_scale import shortened
from revpipe.work import REQUESTS, Claim

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shown:
    """The recipient sees the approval as of `revision`."""

    revision: int
    version: int
    sent: Sent


@dataclass(frozen=True, slots=True)
class Ended:
    """There is nothing to be shown here, now or later."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """No message is to be seen, but one may still become visible until `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """It failed. `unsure`: the message may be there all the same. `called`: it was a try to send, not a look."""

    error: Exception
    unsure: bool = False
    called: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The row has another holder by now."""


Outcome = Shown | Ended | NotYet | Trouble | Lost
WAITS_AT_MOST: Final = timedelta(hours=24)
"""How long a message waits for a vendor that is down."""


def record(held: Claim, row: Mapping[str, Any], outcome: Outcome, services: Services) -> list[str]:
    """Write the outcome if the claim is still ours; returns queues that got rows of their own."""
    if isinstance(outcome, Lost):
        return []
    now = services.clock.now()
    with transaction(services.engine) as tx:
        # The approval first, in the order of everybody who holds both: no change of it can slip in between.
        approval = tx.execute(
            sql("SELECT revision, approver_user_id FROM approvals WHERE approval_id = :id FOR NO KEY UPDATE"),
            {"id": row["approval_id"]},
        ).one_or_none()
        if approval is None or not work.still_held(tx, held):
            return []
        queues = _write(tx, row, approval, outcome, services, now)
        crash_point("notify.written", [row])
    return queues


def stop_hopeless(
    tx: Connection, rows: Sequence[Mapping[str, Any]], services: Services, now: datetime
) -> list[Mapping[str, Any]]:
    """End requests that were claimed too often or kill their workers; return the others."""
    good = []
    for row in rows:
        verdict = failures.hopeless(row)
        if verdict is None:
            good.append(row)
        else:
            log.error("request_hopeless", way=row["way"], reason=verdict[0])
            _undeliverable(tx, row, verdict[0], now)
            telling.ask(tx, services, row["action_id"], now)
    return good


def _write(
    tx: Connection, row: Mapping[str, Any], approval: Any, outcome: Outcome, services: Services, now: datetime
) -> list[str]:
    if isinstance(outcome, Shown):
        return _shown(tx, row, approval, outcome, now)
    if isinstance(outcome, NotYet):
        values = {"maybe_sent": True, "attempts": max(0, row["attempts"] - 1)}
        work.postpone(tx, REQUESTS, [row["request_id"]], outcome.until, values)
        return []
    if isinstance(outcome, Ended):
        values = {"queue": None, "state": "over", "reason": outcome.reason, "sent_at": None}
        work.move(tx, REQUESTS, [row["request_id"]], values)
        return []
    assert isinstance(outcome, Trouble)
    return _failed(tx, row, outcome, services, now)


def _shown(tx: Connection, row: Mapping[str, Any], approval: Any, outcome: Shown, now: datetime) -> list[str]:
    first, sent = row["delivered_at"] is None, outcome.sent
    current = outcome.revision >= approval.revision
    values: dict[str, Any] = {
        "state": "shown",
        "reason": None,
        "shown_revision": outcome.revision,
        "shown_version": outcome.version,
        "place": sent.place,
        "ref": sent.ref,
        "thread": sent.thread,
        "maybe_sent": False,
        "delivered_at": row["delivered_at"] or now,
        "sent_at": None,
        "due_at": now,
        "queue": None if current else telling.queue_of(row),
    }
    work.move(tx, REQUESTS, [row["request_id"]], values)
    if first:
        _delivered(tx, row, approval, now)
    return [] if current else [telling.queue_of(row)]


def _delivered(tx: Connection, row: Mapping[str, Any], approval: Any, now: datetime) -> None:
    """The approver has it, once the way leads to them: a channel does to those with a role, but not to one person.

    A mail server that took a letter over proves nothing: it may bounce or land among the unwanted. Nothing goes out
    unanswered on that.
    """
    if row["way"] != "email" and approval.approver_user_id in (None, row["user_id"]):
        tx.execute(
            sql("UPDATE approvals SET delivered_at = coalesce(delivered_at, :now) WHERE approval_id = :id"),
            {"now": now, "id": row["approval_id"]},
        )
    waited = round((now - row["created_at"]).total_seconds() * 1000)
    trail.record(tx, now, [_entry("approval_delivered", row, {"way": row["way"], "took_ms": waited})])


def _failed(tx: Connection, row: Mapping[str, Any], outcome: Trouble, services: Services, now: datetime) -> list[str]:
    error = outcome.error
    ends = row["created_at"] + shortened(WAITS_AT_MOST)
    if isinstance(error, EffectUnknown):
        decision: retry.Decision = retry.Bury(error.code)
    else:
        decision = retry.decide(error, row["attempts"], failures.policy_of(row["queue"]), now)
    if not isinstance(decision, retry.Bury) and now >= ends and row["ref"] is None:
        decision = retry.Bury("expired_waiting")
    if isinstance(decision, retry.Bury):
        return _given_up(tx, row, error, decision.reason, services, now)
    values: dict[str, Any] = {"reason": decision.reason}
    if outcome.called:
        values["maybe_sent"] = outcome.unsure
    parked = isinstance(decision, retry.Park)
    if (parked and not getattr(error, "opened", False)) or decision.reason == RateLimited.code:
        values["attempts"] = max(0, row["attempts"] - 1)
    if isinstance(decision, retry.Park) and decision.waits_for:
        values["waits_for"] = decision.waits_for
    due = decision.until if isinstance(decision, retry.Park) else decision.due
    work.postpone(tx, REQUESTS, [row["request_id"]], due, values)
    return []


def _given_up(
    tx: Connection, row: Mapping[str, Any], error: Exception, reason: str, services: Services, now: datetime
) -> list[str]:
    if row["ref"] is not None or row["note"] is not None:
        # The recipient has the request itself; what can't be shown any more is how it went on.
        values = {"queue": None, "state": "over", "reason": reason, "sent_at": None}
        work.move(tx, REQUESTS, [row["request_id"]], values)
        log.warning("request_not_brought_up_to_date", way=row["way"], reason=reason, **failures.told_of(error))
        return []
    _undeliverable(tx, row, reason, now, failures.told_of(error))
    return telling.ask(tx, services, row["action_id"], now)


def _undeliverable(
    tx: Connection, row: Mapping[str, Any], reason: str, now: datetime, told: Mapping[str, Any] | None = None
) -> None:
    values = {"queue": None, "state": "undeliverable", "reason": reason, "sent_at": None}
    work.move(tx, REQUESTS, [row["request_id"]], values)
    log.warning("approval_undeliverable", way=row["way"], reason=reason)
    detail = {"way": row["way"], "reason": reason, **(told or {})}
    trail.record(tx, now, [_entry("approval_undeliverable", row, detail)])


def _entry(what: str, row: Mapping[str, Any], detail: Mapping[str, Any]) -> trail.Entry:
    return trail.Entry(what, row["signal_id"], row["action_id"], row["correlation_id"], detail)
