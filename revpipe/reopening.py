"""Putting ended work back to work: an action at its adapter, a signal at a stage, each told in its trail."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from config.queues import RECHECK, queue_for
from revpipe import dead_letters, dispositions, superseding, trail, work
from revpipe.approval_changes import touch
from revpipe.forecasts import ANEW, Forecast
from revpipe.models.action import OPEN
from revpipe.superseding import digest
from revpipe.work import ACTIONS


@dataclass(frozen=True, slots=True)
class Command:
    """On whose word, and by which command of the audit, something is put back to work, and when it is due."""

    audit_id: uuid.UUID
    actor: str
    due: datetime
    now: datetime
    payload: Mapping[str, Any] | None = None
    """A corrected payload for a signal that is decided anew."""


def lock_subjects(tx: Connection, signal_id: uuid.UUID) -> None:
    """Keep deciders off the subjects of a signal's actions, so that none plans an equal action at this moment.

    To be called before any row is locked, as stage decide does.
    """
    tx.execute(
        text(
            "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(subject, 0) AS key"
            " FROM actions WHERE signal_id = :id ORDER BY 1) AS keys"
        ),
        {"id": signal_id},
    )


def resume(tx: Connection, told: Forecast, command: Command) -> list[str]:
    """Do what a forecast without refusal says; the caller holds its rows. Returns the queues that have new work."""
    signal = _signal(tx, told)
    if told.stage in ANEW:
        return [_anew(tx, signal, told, command)]
    return _again(tx, signal, told, command)


def _signal(tx: Connection, told: Forecast) -> Mapping[str, Any]:
    found = tx.execute(text("SELECT * FROM signals WHERE signal_id = :id"), {"id": told.signal_id})
    return dict(found.mappings().one())


def _anew(tx: Connection, signal: Mapping[str, Any], told: Forecast, command: Command) -> str:
    """Send a signal back to be enriched, or only decided, anew. What its former plan did stays done."""
    signal_id, stage = signal["signal_id"], str(told.stage)
    detail: dict[str, Any] = {}
    if command.payload is not None:
        superseding.payload(tx, signal, command.payload, command.audit_id, command.now)
        detail["payload"] = [digest(signal["payload"]), digest(command.payload)]
    if superseding.plan(tx, signal_id, command.audit_id, command.now):
        tx.execute(text("UPDATE signals SET replays = replays + 1 WHERE signal_id = :id"), {"id": signal_id})
    if stage == "enrich":
        superseding.context(tx, signal, command.audit_id, command.now)
    superseding.actions(tx, signal_id, command.now)
    dispositions.reopen(tx, signal_id, stage=stage, due=command.due)
    _close_letters(tx, signal_id, command)
    _tell(tx, signal, told, command, None, detail)
    return queue_for(stage, signal["priority"])


def _again(tx: Connection, signal: Mapping[str, Any], told: Forecast, command: Command) -> list[str]:
    """Carry the failed and the unknown actions of a signal (of an act letter: its one action) out again."""
    signal_id = signal["signal_id"]
    wanted = [one.action_id for one in told.actions if one.state in ("failed", "unknown")]
    queues = []
    planned = False
    _tell(tx, signal, told, command, wanted[0] if told.stage == "act" else None, {"actions": len(wanted)})
    for action in _actions(tx, wanted):
        winner = _equal_open(tx, action)
        if winner is not None:
            _suppress(tx, action, winner, command.now)
        elif told.stage == "execute" and signal["disposition"] is not None and not _released(action):
            work.move(tx, ACTIONS, [action["action_id"]], {**_fresh(command), "state": "planned"})
            planned = True
        else:
            queues.append(_make_ready(tx, action, command))
    if planned and dispositions.reopen(tx, signal_id, stage="execute", due=command.due):
        queues.append(queue_for("execute", signal["priority"]))
    else:
        dispositions.reopen_waiting(tx, signal_id, command.now)
        dispositions.settle(tx, [signal_id], command.now)
    if told.stage == "act":
        dead_letters.close(tx, [told.letter_id] if told.letter_id else [], "replayed", command.actor, None, command.now)
    else:
        _close_letters(tx, signal_id, command)
    return queues


def _actions(tx: Connection, ids: Sequence[uuid.UUID]) -> list[Mapping[str, Any]]:
    rows = tx.execute(
        text(
            "SELECT a.*, p.state AS word FROM actions AS a LEFT JOIN approvals AS p USING (action_id)"
            " WHERE a.action_id = ANY(:ids) ORDER BY a.action_id"
        ),
        {"ids": list(ids)},
    )
    return [dict(row) for row in rows.mappings()]


def _equal_open(tx: Connection, action: Mapping[str, Any]) -> uuid.UUID | None:
    """A newer action that stands for the same and is still open: two of them would break their unique index."""
    found: uuid.UUID | None = tx.execute(
        text(
            "SELECT action_id FROM actions WHERE rule_id = :rule_id AND subject = :subject AND type = :type"
            " AND state = ANY(:open) AND action_id <> :action_id"
        ),
        {**{name: action[name] for name in ("rule_id", "subject", "type", "action_id")}, "open": list(OPEN)},
    ).scalar()
    return found


def _suppress(tx: Connection, action: Mapping[str, Any], winner: uuid.UUID, now: datetime) -> None:
    tx.execute(
        text(
            "UPDATE actions SET state = 'suppressed', reason = 'already_open', suppressed_by = :winner, done_at = :now"
            " WHERE action_id = :id"
        ),
        {"winner": winner, "now": now, "id": action["action_id"]},
    )
    detail = {"type": action["type"], "reason": "already_open", "by": str(winner)}
    entry = trail.Entry("suppressed", action["signal_id"], action["action_id"], action["correlation_id"], detail)
    trail.record(tx, now, [entry])


def _released(action: Mapping[str, Any]) -> bool:
    """Whether it had left stage execute: if not, that stage releases it, and asks a person where policy wants one."""
    return action["first_tried_at"] is not None or action["word"] == "approved" or action["state"] == "unknown"


def _make_ready(tx: Connection, action: Mapping[str, Any], command: Command) -> str:
    if action["word"] == "approved" and not action["maybe_done"]:
        # Surely without effect so far, and approved in a world that may have moved on since.
        queue = queue_for(RECHECK, action["priority"])
    else:
        queue = queue_for("execute", action["priority"], action["adapter"])
    # The time of the last call stays: from there the vendor's settle time runs.
    values = {"state": "ready", "queue": queue, "due_at": command.due, "tried_at": action["tried_at"]}
    work.move(tx, ACTIONS, [action["action_id"]], {**_fresh(command), **values})
    touch(tx, [action["action_id"]], command.now)
    return queue


def _fresh(command: Command) -> dict[str, Any]:
    ended = {"reason": None, "done_at": None, "sent_at": None, "waits_for": None, "queue": None}
    return {**ended, "replayed_at": command.due}


def _close_letters(tx: Connection, signal_id: uuid.UUID, command: Command) -> None:
    """What the signal was buried for is tried again, all of it."""
    letters = [one["letter_id"] for one in dead_letters.open_of(tx, signal_id)]
    dead_letters.close(tx, letters, "replayed", command.actor, None, command.now)


def _tell(
    tx: Connection,
    signal: Mapping[str, Any],
    told: Forecast,
    command: Command,
    action_id: uuid.UUID | None,
    detail: Mapping[str, Any],
) -> None:
    cause = {"from": told.stage, "audit": str(command.audit_id)}
    if told.letter_id:
        cause["letter"] = str(told.letter_id)
    entry = trail.Entry("replayed", signal["signal_id"], action_id, signal["correlation_id"], {**cause, **detail})
    trail.record(tx, command.now, [entry])
