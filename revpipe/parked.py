"""What waits for a vendor's circuit, and its way back: oldest window first, at a bounded rate, one row as the probe."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, text

from config.queues import QUEUES
from revpipe import trail
from revpipe.circuits import CLOSED, HALF_OPEN
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.feed import table_of
from revpipe.services import Services
from revpipe.work import ACTIONS, REQUESTS, SIGNALS, Table

log = structlog.get_logger(__name__)

AT_ONCE: Final = 150
"""How many rows of one queue may be due, unsent, when parked ones join them.

So fresh work never stands behind more than half a chunk of them, and what the vendor's rate lets through decides how
fast they drain: twice in a second a queue is filled up to this again, which is 300 rows/s at the most, about what
HubSpot's 140 calls in 10 s carry in full chunks.
"""
OLDEST_BY: Final = {SIGNALS: "fired_at", ACTIONS: "created_at", REQUESTS: "created_at"}


def drain(services: Services) -> dict[str, int]:
    """Let rows go whose circuit lets calls through; returns how many by circuit. Two at once are harmless.

    A closed circuit gives up its rows bit by bit. One whose period is over gives up a single row, the one not tried
    for longest, whose call shows how the vendor does. Where circuits can't be asked for, rows wait on: each is due
    by itself in the end.
    """
    if services.circuits is None:
        return {}
    with transaction(services.engine) as tx:
        names = waited_for(tx)
    if not names:
        return {}
    released: dict[str, int] = {}
    try:
        states = services.circuits.states()
        for name in names:
            state = states[name].state if name in states else CLOSED
            if state == CLOSED:
                released[name] = _release(services, name)
            elif state == HALF_OPEN and services.circuits.invite(name):
                released[name] = _release_probe(services, name)
    except Transient as error:
        log.warning("parked_waits", reason=str(error))
    return {name: count for name, count in released.items() if count}


def waited_for(tx: Connection) -> list[str]:
    """The circuits that rows wait for: a few steps on the index, however many rows."""
    found: set[str] = set()
    for table in OLDEST_BY:
        some = tx.execute(
            text(
                f"WITH RECURSIVE names AS ((SELECT waits_for AS name FROM {table.name}"  # noqa: S608
                f" WHERE waits_for IS NOT NULL AND queue IS NOT NULL ORDER BY waits_for LIMIT 1) UNION ALL"
                f" SELECT (SELECT waits_for FROM {table.name} WHERE waits_for > names.name AND queue IS NOT NULL"
                f" ORDER BY waits_for LIMIT 1) FROM names WHERE names.name IS NOT NULL)"
                f" SELECT name FROM names WHERE name IS NOT NULL"
            )
        )
        found.update(some.scalars())
    return sorted(found)


def waiting(tx: Connection) -> dict[str, int]:
    """How many rows wait for each circuit."""
    rows = tx.execute(
        text(
            "SELECT waits_for AS name, count(*) AS found FROM (SELECT waits_for FROM signals"
            " WHERE waits_for IS NOT NULL AND queue IS NOT NULL UNION ALL SELECT waits_for FROM actions"
            " WHERE waits_for IS NOT NULL AND queue IS NOT NULL UNION ALL SELECT waits_for FROM approval_requests"
            " WHERE waits_for IS NOT NULL AND queue IS NOT NULL) AS rows GROUP BY 1 ORDER BY 1"
        )
    )
    return {row.name: row.found for row in rows}


def _release(services: Services, name: str) -> int:
    """Let the oldest rows of each queue go, as far as the queue is not full of others that are due."""
    count = 0
    for table, order in OLDEST_BY.items():
        key = table.key
        chosen = (
            f"WITH room AS (SELECT q AS queue, :most - (SELECT count(*) FROM (SELECT 1 FROM {table.name}"  # noqa: S608
            f" WHERE queue = q AND sent_at IS NULL AND due_at <= :now AND waits_for IS NULL LIMIT :most) AS due)"
            f" AS free FROM unnest(CAST(:queues AS text[])) AS q),"
            f" chosen AS (SELECT oldest.* FROM room, LATERAL (SELECT {key}, {order} FROM {table.name}"
            f" WHERE waits_for = :name AND queue = room.queue AND sent_at IS NULL"
            f" ORDER BY {order}, {key} LIMIT room.free FOR UPDATE SKIP LOCKED) AS oldest),"
            f" ranked AS (SELECT {key}, row_number() OVER (ORDER BY {order} DESC, {key} DESC) AS back FROM chosen)"
        )
        with transaction(services.engine) as tx:
            now = services.clock.now()
            values = {"name": name, "most": AT_ONCE, "queues": _queues(table), "now": now}
            count += _let_go(tx, table, chosen, values, now)
    if count:
        log.info("parked_resumed", circuit=name, rows=count)
    return count


def _release_probe(services: Services, name: str) -> int:
    """Let the one row go that was not tried for longest: no single row can keep a circuit open for ever."""
    with transaction(services.engine) as tx:
        now = services.clock.now()
        table = _longest_untried(tx, name)
        if table is None:
            return 0
        chosen = (
            f"WITH ranked AS (SELECT {table.key}, 1 AS back FROM {table.name}"  # noqa: S608
            f" WHERE waits_for = :name AND queue IS NOT NULL AND sent_at IS NULL"
            f" ORDER BY tried_at NULLS FIRST, {OLDEST_BY[table]}, {table.key} LIMIT 1 FOR UPDATE SKIP LOCKED)"
        )
        return _let_go(tx, table, chosen, {"name": name, "now": now}, now, probe=True)


def _longest_untried(tx: Connection, name: str) -> Table | None:
    found = [
        tx.execute(
            text(
                f"SELECT tried_at, {oldest} AS since FROM {table.name} WHERE waits_for = :name"  # noqa: S608
                f" AND queue IS NOT NULL AND sent_at IS NULL ORDER BY tried_at NULLS FIRST, {oldest} LIMIT 1"
            ),
            {"name": name},
        ).one_or_none()
        for table, oldest in OLDEST_BY.items()
    ]
    times = [
        (row.tried_at is not None, row.tried_at or row.since, at) for at, row in enumerate(found) if row is not None
    ]
    return list(OLDEST_BY)[min(times)[2]] if times else None


def _let_go(
    tx: Connection, table: Table, chosen: str, values: dict[str, Any], now: datetime, *, probe: bool = False
) -> int:
    """Make the rows of the CTE `ranked` due, just before now and in their order, and say so in the trail."""
    action = "NULL::uuid" if table is SIGNALS else "t.action_id"
    rows = (
        tx.execute(
            text(
                f"{chosen} UPDATE {table.name} AS t SET waits_for = NULL,"  # noqa: S608
                f" due_at = :now - ranked.back * interval '1 microsecond'"
                f" FROM ranked WHERE t.{table.key} = ranked.{table.key}"
                f" RETURNING t.signal_id, {action} AS action_id, t.correlation_id, t.tried_at"
            ),
            values,
        )
        .mappings()
        .all()
    )
    trail.record(tx, now, [_entry(row, str(values["name"]), now, probe=probe) for row in rows])
    return len(rows)


def _entry(row: Any, name: str, now: datetime, *, probe: bool) -> trail.Entry:
    detail: dict[str, Any] = {"waits_for": name}
    if row["tried_at"] is not None:
        detail["waited_s"] = round((now - row["tried_at"]).total_seconds(), 1)
    if probe:
        detail["probe"] = True
    return trail.Entry("resumed", row["signal_id"], row["action_id"], row["correlation_id"], detail)


def _queues(table: Table) -> Sequence[str]:
    return [queue.name for queue in QUEUES.values() if table_of(queue) is table]
