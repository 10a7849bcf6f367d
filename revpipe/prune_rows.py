"""Rows that are over and old enough: deleted batch by batch, each in a transaction of its own."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from revpipe.db import transaction
from revpipe.models.action import OPEN
from revpipe.tallies import RUNNING

BATCH: Final = 500
"""Signals to a transaction: a fraction of a second, and nobody else wants their rows."""
ROWS: Final = 2000

_OVER: Final = (
    "FROM signals AS s WHERE received_at < :limit AND state = 'done' AND done_at < :limit"  # noqa: S608
    " AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.signal_id = s.signal_id AND d.state = 'open')"
    " AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.signal_id = s.coalesced_into AND d.state = 'open')"
    " AND NOT EXISTS (SELECT 1 FROM actions AS a WHERE a.signal_id = s.signal_id"
    f" AND (a.state IN {OPEN!r} OR a.maybe_done))"
)
"""SQL: signals `s` that have ended, of which nothing is left for anybody to do."""
_BELONGINGS: Final = (
    *(
        f"DELETE FROM {table} AS v USING approvals AS p, actions AS a WHERE v.approval_id = p.approval_id"  # noqa: S608
        " AND p.action_id = a.action_id AND a.signal_id = ANY(:ids)"
        for table in ("approval_versions", "approval_votes")
    ),
    "DELETE FROM approvals AS p USING actions AS a WHERE p.action_id = a.action_id AND a.signal_id = ANY(:ids)",
    "DELETE FROM actions WHERE signal_id = ANY(:ids)",
    "DELETE FROM shadow_outcomes WHERE signal_id = ANY(:ids)",
    "DELETE FROM plans WHERE signal_id = ANY(:ids)",
    "DELETE FROM contexts WHERE signal_id = ANY(:ids)",
    "DELETE FROM superseded WHERE signal_id = ANY(:ids)",
    "DELETE FROM signals WHERE signal_id = ANY(:ids)",
)
_LETTERS: Final = (
    "FROM dead_letters WHERE last_at < :limit AND state <> 'open' AND coalesce(closed_at, last_at) < :limit"
)
_COUNTERS: Final = (
    "FROM counters WHERE hour < :limit AND hour > :running AND NOT (name = 'balance:open' AND count <> 0)"
)
_DELIVERIES: Final = "FROM deliveries_default WHERE received_at < :limit"
_SIMPLE: Final = {
    "dead_letters": (_LETTERS, "dead_letters", "letter_id", "last_at"),
    "counters": (_COUNTERS, "counters", "hour, name", "hour"),
    "deliveries": (_DELIVERIES, "deliveries_default", "received_at, delivery_id", "received_at"),
}


def count(tx: Connection, kind: str, limit: datetime) -> int:
    """How many rows of a kind may go."""
    found = _OVER if kind == "signals" else _SIMPLE[kind][0]
    return int(tx.execute(text(f"SELECT count(*) {found}"), {"limit": limit, "running": RUNNING}).scalar_one())


def any_signal(tx: Connection, limit: datetime) -> bool:
    """Whether at least one signal may go."""
    return tx.execute(text(f"SELECT 1 {_OVER} LIMIT 1"), {"limit": limit}).first() is not None


def signals(engine: Engine, limit: datetime, most: int | None = None) -> int:
    """Delete ended signals with all that hangs on them but their trail; at most `most`. Returns how many."""
    gone = 0
    behind: tuple[datetime, uuid.UUID] = (datetime(1970, 1, 1, tzinfo=UTC), uuid.UUID(int=0))
    while most is None or gone < most:
        size = BATCH if most is None else min(BATCH, most - gone)
        with transaction(engine) as tx:
            rows = _next(tx, limit, behind, size)
            ids = [row["signal_id"] for row in rows]
            for statement in _BELONGINGS if ids else ():
                tx.execute(text(statement), {"ids": ids})
        gone += len(rows)
        if len(rows) < size:
            break
        behind = (rows[-1]["received_at"], rows[-1]["signal_id"])
    return gone


def _next(tx: Connection, limit: datetime, behind: tuple[datetime, uuid.UUID], size: int) -> Sequence[Any]:
    """The next batch, held; those that somebody else holds just now are left to a later run."""
    return (
        tx.execute(
            text(
                f"SELECT s.signal_id, s.received_at {_OVER} AND (received_at, signal_id) > (:at, :id)"
                " ORDER BY received_at, signal_id LIMIT :size FOR UPDATE OF s SKIP LOCKED"
            ),
            {"limit": limit, "at": behind[0], "id": behind[1], "size": size},
        )
        .mappings()
        .all()
    )


def others(engine: Engine, kind: str, limit: datetime) -> int:
    """Delete rows of a kind that nothing hangs on; returns how many."""
    found, table, key, order = _SIMPLE[kind]
    gone = 0
    while True:
        with transaction(engine) as tx:
            some = tx.execute(
                text(
                    f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} {found} ORDER BY {order} LIMIT {ROWS}"  # noqa: S608
                    " FOR UPDATE SKIP LOCKED)"
                ),
                {"limit": limit, "running": RUNNING},
            ).rowcount
        gone += some
        if some < ROWS:
            return gone
