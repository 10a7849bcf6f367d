"""Counting signals in and out, in the very transaction that writes them; the keeper folds the counts.

A tally is a row of its own: who only adds never waits for another, as all would for one counter row.
"""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Engine

from revpipe.db import sql, transaction

ACCEPTED: Final = "accepted"
RUNNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The hour under which `counters` keeps what runs over all hours."""
FOLDED_AT_ONCE: Final = 5000
ROUNDS_AT_MOST: Final = 20

CHANGED: Final = (
    "INSERT INTO tallies (hour, name, n) SELECT hour, name, sum(n) FROM ("
    "SELECT date_trunc('hour', received_at, 'UTC') AS hour, CAST(:disposition AS text) AS name, 1 AS n FROM mine"
    " WHERE CAST(:disposition AS text) IS NOT NULL AND disposition IS DISTINCT FROM :disposition UNION ALL "
    "SELECT date_trunc('hour', received_at, 'UTC'), disposition, -1 FROM mine"
    " WHERE disposition IS NOT NULL AND disposition IS DISTINCT FROM :disposition"
    ") AS changes GROUP BY hour, name ORDER BY hour, name"
)
"""SQL behind a CTE `mine` (received_at, and the disposition so far) whose signals now have `:disposition`."""


CAME: Final = (
    "INSERT INTO tallies (hour, name, n) SELECT hour, name, count(*) FROM ("  # noqa: S608
    f"SELECT date_trunc('hour', received_at, 'UTC') AS hour, '{ACCEPTED}' AS name FROM fresh UNION ALL "
    "SELECT date_trunc('hour', received_at, 'UTC'), disposition FROM fresh WHERE disposition IS NOT NULL"
    ") AS came GROUP BY hour, name"
)
"""SQL behind a CTE `fresh` (received_at, and the disposition if any) of signals that were inserted."""


def hour_of(at: datetime) -> datetime:
    """The full hour, in UTC, that `at` falls into."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def fold(engine: Engine) -> int:
    """Move tallies into `counters`; returns how many. What one round leaves is for the next.

    Each statement takes rows that no other holds, so two keepers never fold the same one; and since it takes away
    and adds at once, whoever sums up counters and tallies together in one snapshot always sees the same.
    """
    folded = 0
    for _ in range(ROUNDS_AT_MOST):
        with transaction(engine) as tx:
            some = tx.execute(sql(_FOLD), {"most": FOLDED_AT_ONCE, "running": RUNNING}).scalar_one()
        folded += some
        if some < FOLDED_AT_ONCE:
            break
    return folded


_FOLD: Final = (
    "WITH oldest AS MATERIALIZED (SELECT tally_id FROM tallies LIMIT :most FOR UPDATE SKIP LOCKED),"
    " taken AS (DELETE FROM tallies AS t USING oldest WHERE t.tally_id = oldest.tally_id"
    " RETURNING t.hour, t.name, t.n),"
    " changes AS (SELECT hour, 'balance:' || name AS name, n FROM taken UNION ALL"
    " SELECT hour, 'balance:open', CASE name WHEN 'accepted' THEN n ELSE -n END FROM taken UNION ALL"
    " SELECT CAST(:running AS timestamptz), 'total:' || name, n FROM taken),"
    " added AS (INSERT INTO counters AS c (hour, name, count) SELECT hour, name, sum(n) FROM changes"
    " GROUP BY hour, name ORDER BY hour, name"
    " ON CONFLICT (hour, name) DO UPDATE SET count = c.count + excluded.count)"
    " SELECT count(*) FROM taken"
)


def should_be_open(tx: Connection) -> dict[datetime, int]:
    """Hour → how many of its signals should be open by the count, hours with none left out."""
    rows = tx.execute(
        sql(
            "SELECT hour, sum(n) AS n FROM (SELECT hour, count AS n FROM counters"
            " WHERE name = 'balance:open' AND count <> 0 UNION ALL"
            " SELECT hour, CASE name WHEN 'accepted' THEN n ELSE -n END FROM tallies) AS counts"
            " GROUP BY hour HAVING sum(n) <> 0"
        )
    )
    return {row.hour: int(row.n) for row in rows}


def totals(tx: Connection) -> dict[str, int]:
    """`accepted` and each disposition → how many there were since the ledger began."""
    return {name: n for (_, name), n in _sums(tx, "total:", RUNNING, RUNNING).items()}


def by_hour(tx: Connection, since: datetime) -> dict[tuple[datetime, str], int]:
    """(Hour, `accepted` or disposition) → how many, for hours from `since` on."""
    return _sums(tx, "balance:", since, None)


def _sums(tx: Connection, prefix: str, since: datetime, until: datetime | None) -> dict[tuple[datetime, str], int]:
    rows = tx.execute(
        sql(
            "SELECT hour, name, sum(n) AS n FROM ("
            "SELECT hour, substr(name, length(:prefix) + 1) AS name, count AS n FROM counters"
            " WHERE hour >= :since AND (CAST(:until AS timestamptz) IS NULL OR hour <= :until)"
            " AND starts_with(name, :prefix) UNION ALL"
            " SELECT CASE WHEN CAST(:until AS timestamptz) IS NULL THEN hour ELSE :since END, name, n FROM tallies"
            " WHERE hour >= :since) AS counts WHERE name <> 'open' GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"
        ),
        {"prefix": prefix, "since": since, "until": until},
    )
    return {(row.hour, row.name): int(row.n) for row in rows}
