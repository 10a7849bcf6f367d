"""Rows whose worker died: they pass a queue of their own, few at a time, until it is clear which of them kills."""

from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from config.queues import PRIORITIES, QUARANTINE, Queue
from revpipe.work import Table

ORDER: Final = f"array_position(ARRAY{list(PRIORITIES)!r}, priority), least(deaths, 1), "
"""Rows of all priorities wait for one place: the urgent ones are let in first, and suspects after the others."""
ENTER: Final = (
    f", deaths = t.deaths + CASE WHEN t.queue LIKE '%.{QUARANTINE}' THEN 1 ELSE 0 END,"
    f" queue = regexp_replace(t.queue, '[^.]+$', '{QUARANTINE}')"
)
"""SQL assignments for a row `t` whose worker died: into quarantine, or one death there the more."""
DEATHS: Final = 4
"""How many deaths in quarantine end a row: one in a group, and three alone."""


def let_in(tx: Connection, table: Table, queue: Queue, now: datetime) -> tuple[str, int]:
    """Which rows may be sent next, as a further condition on `due`, and how many; none while others are in there.

    Rows that have not yet died in quarantine are let in as a group, because nearly all are innocent and their vendor is
    then asked for all of them at once. If the group dies as well, each of it goes on alone, so that only what
    kills alone is found to do so.
    """
    values = {"queue": queue.name, "now": now}
    # The lock first, and the questions as statements of their own: they must see what its last holder committed.
    if not tx.execute(text("SELECT pg_try_advisory_xact_lock(hashtextextended(:queue, 1))"), values).scalar():
        return "", 0
    busy = text(f"SELECT EXISTS (SELECT 1 FROM {table.name} WHERE queue = :queue AND sent_at IS NOT NULL)")  # noqa: S608
    if tx.execute(busy, values).scalar():
        return "", 0
    first = text(
        f"SELECT deaths FROM {table.name} WHERE queue = :queue AND sent_at IS NULL AND due_at <= :now"  # noqa: S608
        f" ORDER BY {ORDER} due_at, {table.key} LIMIT 1"
    )
    return ("", 1) if tx.execute(first, values).scalar() else (" AND deaths = 0", queue.chunk)
