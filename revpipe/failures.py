"""What becomes of rows whose work failed: tried again, parked or buried, each in plain sight."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from config.queues import QUEUES
from revpipe import dead_letters, dispositions, quarantine, retry, trail, work
from revpipe.errors import CircuitOpen, RateLimited
from revpipe.time_scale import seconds
from revpipe.work import SIGNALS


@dataclass(frozen=True, slots=True)
class Failure:
    """A row whose work failed, and the error."""

    row: Mapping[str, Any]
    error: Exception


def policy_of(queue: str) -> retry.Policy:
    """The retry policy of a queue, from the queue table."""
    spec = QUEUES[queue]
    return retry.Policy(attempts=spec.attempts, backoff=seconds(spec.backoff), cap=seconds(spec.backoff_cap))


class TooManyAttempts(Exception):
    """The row was claimed more often than its queue allows: whatever took it never came to an end."""


class KillsItsWorker(Exception):
    """The worker died each time that it held this row alone."""


def hopeless(row: Mapping[str, Any]) -> tuple[str, Exception] | None:
    """Why a row that was just claimed must not be worked again: a reason and the error; None if it may be."""
    if row["deaths"] >= quarantine.DEATHS:
        told = f"{row['deaths']} workers died with this row in quarantine, all but the first with nothing else"
        return "kills_its_worker", KillsItsWorker(told)
    allowed = QUEUES[row["queue"]].attempts
    if row["attempts"] > allowed:
        tries = row["attempts"] - 1
        return "exhausted", TooManyAttempts(f"{tries} tries ended without an outcome; {allowed} are allowed")
    return None


def bury_exhausted(
    tx: Connection, stage: str, rows: Sequence[Mapping[str, Any]], now: datetime
) -> list[Mapping[str, Any]]:
    """Bury the rows that were claimed too often or kill their workers, and return the others."""
    good = []
    for row in rows:
        verdict = hopeless(row)
        if verdict is None:
            good.append(row)
        else:
            _bury_signal(tx, stage, row, verdict[1], verdict[0], now)
    return good


def settle_signals(tx: Connection, stage: str, failures: list[Failure], now: datetime) -> None:
    """Write what follows from each failed signal. The caller has checked that the claims still hold."""
    for failure in failures:
        row, error = failure.row, failure.error
        decision = retry.decide(error, row["attempts"], policy_of(row["queue"]), now)
        if not isinstance(decision, retry.Bury) and now >= row["expires_at"]:
            decision = retry.Bury("expired_waiting")
        if isinstance(decision, retry.Bury):
            _bury_signal(tx, stage, row, error, decision.reason, now)
            continue
        parked = isinstance(decision, retry.Park)
        due = decision.until if isinstance(decision, retry.Park) else decision.due
        circuit = decision.waits_for if isinstance(decision, retry.Park) else None
        state = {"state": "parked", "waits_for": circuit} if parked else {}
        # To wait for a vendor, or for its rate, is no failure of the row: it burns no attempt.
        kept = (parked and not getattr(error, "opened", False)) or decision.reason == RateLimited.code
        spared: dict[str, Any] = {"attempts": max(0, row["attempts"] - 1)} if kept else {}
        if isinstance(error, CircuitOpen):
            # Of those whom a circuit refused the longest untried is its next probe.
            spared["tried_at"] = row["tried_at"]
        work.postpone(tx, SIGNALS, [row["signal_id"]], min(due, row["expires_at"]), {**state, **spared})
        what = "parked" if parked else "retry"
        trail.record(tx, now, [_entry(what, row, stage, error, decision.reason, due, now, circuit)])


def letter_of(
    stage: str, item_id: uuid.UUID, row: Mapping[str, Any], error: Exception, reason: str
) -> dead_letters.Letter:
    """The dead letter of a signal's or an action's row; the caller adds what only its kind can tell."""
    return dead_letters.Letter(
        key=f"{stage}:{item_id}",
        stage=stage,
        queue=row["queue"],
        reason=reason,
        error=f"{type(error).__name__}: {error}",
        traceback=dead_letters.traceback_of(error),
        signal_id=row["signal_id"],
        correlation_id=row["correlation_id"],
        attempts=row["attempts"],
        worker=work.worker_name(),
    )


def told_of(error: Exception) -> dict[str, str]:
    """An error in the trail's words: its code if it is one of ours, else the name of its class; and where."""
    told = {"error": str(getattr(error, "code", type(error).__name__))}
    where = getattr(error, "where", None)
    return told | {"where": where} if where else told


def _bury_signal(
    tx: Connection, stage: str, row: Mapping[str, Any], error: Exception, reason: str, now: datetime
) -> None:
    signal_id: uuid.UUID = row["signal_id"]
    letter = replace(
        letter_of(stage, signal_id, row, error, reason),
        source=row["source"],
        delivery_id=row["delivery_id"],
        first_at=row["received_at"],
    )
    dead_letters.bury(tx, [letter], now)
    dispositions.finish(tx, [signal_id], "dead_lettered", reason, now)
    _fail_planned(tx, signal_id, reason, now)
    trail.record(tx, now, [_entry("buried", row, stage, error, reason, None, now)])


def _fail_planned(tx: Connection, signal_id: uuid.UUID, reason: str, now: datetime) -> None:
    """End the actions of a buried signal: left open, they would stand in the way of all later ones for ever."""
    tx.execute(
        text(
            "UPDATE actions SET state = 'failed', reason = :reason, done_at = :now"
            " WHERE signal_id = :id AND state = 'planned'"
        ),
        {"id": signal_id, "reason": reason, "now": now},
    )


def _entry(
    what: str,
    row: Mapping[str, Any],
    stage: str,
    error: Exception,
    reason: str,
    due: datetime | None,
    now: datetime,
    circuit: str | None = None,
) -> trail.Entry:
    detail: dict[str, Any] = {
        "stage": stage,
        "attempt": row["attempts"],
        "reason": reason,
        **told_of(error),
        "worker": work.worker_name(),
    }
    if due is not None:
        detail["wait_s"] = round((due - now).total_seconds(), 1)
    if circuit is not None:
        detail["waits_for"] = circuit
    return trail.Entry(what, row["signal_id"], None, row["correlation_id"], detail)
