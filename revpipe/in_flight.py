"""Where the open signals are, and which of them nothing will move: those are stuck, each with its cause.

Everything here reads open signals only, by their partial index, and the actions of those that wait.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from config.queues import QUEUES

CLASSES: Final = ("on_its_way", "parked", "person", "actions", "unknown", "stuck")
"""Every open signal is in one: moving through the stages, parked for a vendor, waiting for a person's approval,
waiting for its actions, waiting for a person to settle an unknown effect, or stuck."""
SLOW: Final = timedelta(minutes=10)
"""How long a row may be due, or sent and not claimed, before nobody seems to work its queue."""
LEASE_SLACK: Final = timedelta(seconds=60)
"""How long after a lease's end the sweep must have taken the row back."""
ACTION_WAITS: Final = timedelta(hours=25)
"""An action waits a day for its vendor at the most; what is due later than that was put there by mistake."""
NAMED: Final = 20

REMEDIES: Final = {
    "nothing_open": "it waits for actions and has none in flight; look: revpipe trace ID",
    "no_queue": "its row names no queue; look: revpipe trace ID",
    "no_such_queue": "its queue is no longer in config/queues.py; bring the queue back, or replay the signal",
    "lease_over": "its worker's lease ended and was not swept; is the keeper running? revpipe queues",
    "no_worker_took_it": "no worker took it for 10 minutes; start a worker for its queue: revpipe worker QUEUE",
    "over_its_time": "its time is over and it still waits; look: revpipe trace ID",
    "nobody_asked": "its action waits for an approval that nobody can give any more; look: revpipe trace ID",
    "never_released": "its action was planned and never released; look: revpipe trace ID",
}
"""Cause → what to do about a stuck signal."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """Open signals that nothing will move: the cause, how many there are, and the first of them by age."""

    cause: str
    count: int
    signal_ids: tuple[uuid.UUID, ...]
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InFlight:
    """Open signals by class and by hour of receipt (UTC), and what is stuck."""

    classes: Mapping[str, int]
    hours: Mapping[datetime, int]
    stuck: tuple[Stuck, ...]


def read(tx: Connection, now: datetime, *, patient: bool) -> InFlight:
    """Class every open signal. While `patient`, nobody is blamed for rows that nobody took: the keeper that
    feeds them has not been there for long."""
    values = _values(now, patient)
    rows = tx.execute(
        text(f"{_JUDGED} SELECT hour, kind, cause, queue, count(*) AS n FROM judged GROUP BY 1, 2, 3, 4"),  # noqa: S608
        values,
    ).all()
    classes = dict.fromkeys(CLASSES, 0)
    hours: dict[datetime, int] = {}
    causes: dict[str, int] = {}
    queues: dict[str, set[str]] = {}
    for row in rows:
        classes["stuck" if row.cause else row.kind] += row.n
        hours[row.hour] = hours.get(row.hour, 0) + row.n
        if row.cause:
            causes[row.cause] = causes.get(row.cause, 0) + row.n
            queues.setdefault(row.cause, set()).update([row.queue] if row.queue else [])
    stuck = [
        Stuck(cause, causes[cause], _oldest(tx, cause, values), tuple(sorted(queues[cause])))
        for cause in sorted(causes)
    ]
    return InFlight(classes, hours, tuple(stuck))


def _oldest(tx: Connection, cause: str, values: Mapping[str, Any]) -> tuple[uuid.UUID, ...]:
    found = tx.execute(
        text(
            f"{_JUDGED} SELECT signal_id FROM judged WHERE cause = :cause"  # noqa: S608
            " ORDER BY received_at, signal_id LIMIT :named"
        ),
        {**values, "cause": cause, "named": NAMED},
    )
    return tuple(found.scalars())


def due_by_queue(tx: Connection, now: datetime) -> dict[str, int]:
    """Queue → rows that are due and wait for room in it, by the index of what is due; only queues that have any."""
    rows = tx.execute(
        text(
            "SELECT queue, sum(n) AS n FROM ("
            "SELECT queue, count(*) AS n FROM signals WHERE queue IS NOT NULL AND sent_at IS NULL AND due_at <= :now"
            " GROUP BY queue UNION ALL "
            "SELECT queue, count(*) FROM actions WHERE queue IS NOT NULL AND sent_at IS NULL AND due_at <= :now"
            " GROUP BY queue UNION ALL "
            "SELECT queue, count(*) FROM approval_requests WHERE queue IS NOT NULL AND sent_at IS NULL"
            " AND due_at <= :now GROUP BY queue) AS due GROUP BY queue ORDER BY queue"
        ),
        {"now": now},
    )
    return {row.queue: int(row.n) for row in rows}


def _values(now: datetime, patient: bool) -> dict[str, Any]:
    return {
        "queues": list(QUEUES),
        "now": now,
        "slow": None if patient else now - SLOW,
        "expired": now - SLOW,
        "lease_over": now - LEASE_SLACK,
        "too_late": now + ACTION_WAITS,
    }


def _cause(row: str, over: str) -> str:
    """SQL: why a row that should be in a queue is stuck, null if it is not; `over` tells that its time has passed.

    A row that waits for a circuit waits by right, however long it has been due.
    """
    return (
        f"CASE WHEN {row}.queue IS NULL THEN 'no_queue'"
        f" WHEN {row}.queue <> ALL(:queues) THEN 'no_such_queue'"
        f" WHEN {row}.lease_until < :lease_over THEN 'lease_over'"
        f" WHEN {row}.claim_id IS NULL AND {row}.waits_for IS NULL"
        f" AND coalesce({row}.sent_at, {row}.due_at) < CAST(:slow AS timestamptz) THEN 'no_worker_took_it'"
        f" WHEN {row}.claim_id IS NULL AND {over} THEN 'over_its_time' END"
    )


_ACTION_CAUSE: Final = (
    "CASE WHEN a.state = 'unknown' THEN NULL"
    " WHEN a.state = 'awaiting_approval' THEN"
    " CASE WHEN p.state IS DISTINCT FROM 'open' OR p.expires_at < :expired THEN 'nobody_asked' END"
    " WHEN a.state = 'planned' THEN 'never_released' ELSE " + _cause("a", "a.due_at > :too_late") + " END"
)
_OPEN_ACTIONS: Final = "('planned', 'awaiting_approval', 'ready', 'running', 'unknown')"
_JUDGED: Final = (
    "WITH unended AS MATERIALIZED (SELECT signal_id, received_at, state, queue, due_at, sent_at, claim_id, lease_until,"  # noqa: S608
    " waits_for, expires_at FROM signals WHERE state <> 'done'),"
    " acts AS MATERIALIZED (SELECT s.signal_id, bool_or(a.state = 'unknown') AS unknown,"
    " bool_or(a.state = 'awaiting_approval') AS person, bool_or(a.waits_for IS NOT NULL) AS parked,"
    f" min({_ACTION_CAUSE}) AS cause, min(a.queue) AS queue FROM unended s JOIN actions a USING (signal_id)"
    f" LEFT JOIN approvals p USING (action_id) WHERE s.state = 'waiting' AND a.state IN {_OPEN_ACTIONS} GROUP BY 1),"
    " judged AS (SELECT s.signal_id, s.received_at, date_trunc('hour', s.received_at, 'UTC') AS hour,"
    " CASE WHEN s.state <> 'waiting' THEN"
    " CASE WHEN s.state = 'parked' OR s.waits_for IS NOT NULL THEN 'parked' ELSE 'on_its_way' END"
    " WHEN acts.unknown THEN 'unknown' WHEN acts.person THEN 'person' WHEN acts.parked THEN 'parked'"
    " ELSE 'actions' END AS kind,"
    " CASE WHEN s.state <> 'waiting' THEN "
    + _cause("s", "(s.expires_at < :expired OR s.due_at > s.expires_at + interval '10 minutes')")
    + " WHEN acts.signal_id IS NULL THEN 'nothing_open' ELSE acts.cause END AS cause,"
    " coalesce(s.queue, acts.queue) AS queue FROM unended s LEFT JOIN acts USING (signal_id))"
)
"""SQL: each open signal with its class, and the cause if it is stuck."""
