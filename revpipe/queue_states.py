"""What waits in the ledger, by queue: how many, and since when. Costs the same however many wait and have ended."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from config.queues import QUEUES
from revpipe.work import ACTIONS, REQUESTS, SIGNALS, Table

MOST: Final = 10_000
"""Counted up to here: whoever has to act on a backlog needs no exact figure, and a million take a while to count."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """One queue. `due` waits for room in it and `later` for its time, both counted up to MOST; `sent` is with the
    broker, `claimed` with a worker; `oldest_s` is for how many seconds the oldest row that nobody has claimed, be it
    due or sent, has been due.
    """

    queue: str
    due: int = 0
    later: int = 0
    sent: int = 0
    claimed: int = 0
    oldest_s: float | None = None

    @property
    def priority(self) -> str:
        """Its priority, or `quarantine`."""
        return self.queue.rpartition(".")[2]

    @property
    def empty(self) -> bool:
        """Whether nothing at all is in it."""
        return not (self.due or self.later or self.sent or self.claimed)


def read(tx: Connection, now: datetime, *, whole: bool = True) -> list[QueueState]:
    """Every queue of the queue table, and those that are gone from it but still have rows.

    `whole` also counts what is sent, claimed and waits for its time.
    """
    found: dict[str, QueueState] = {name: QueueState(name) for name in QUEUES}
    for table in (SIGNALS, ACTIONS, REQUESTS):
        for row in _waiting(tx, table, now, whole=whole):
            had = _with_age(found, row)
            found[row["queue"]] = replace(had, due=had.due + row["due"], later=had.later + row["later"])
        for row in _under_way(tx, table, now):
            had = _with_age(found, row)
            counted = {"sent": had.sent + row["sent"], "claimed": had.claimed + row["claimed"]} if whole else {}
            found[row["queue"]] = replace(had, **counted)
    return [found[name] for name in sorted(found)]


def _with_age(found: Mapping[str, QueueState], row: Mapping[str, Any]) -> QueueState:
    had = found.get(row["queue"], QueueState(row["queue"]))
    ages = [one for one in (had.oldest_s, row["oldest_s"]) if one is not None]
    return replace(had, oldest_s=max(ages, default=None))


def _waiting(tx: Connection, table: Table, now: datetime, *, whole: bool) -> list[Any]:
    """By a few steps on the index of what is due, for each queue that has rows there."""
    rows = f"FROM {table.name} WHERE queue = names.name AND sent_at IS NULL AND due_at"
    later = f"(SELECT count(*) FROM (SELECT 1 {rows} > :now LIMIT :most) AS counted)" if whole else "0"  # noqa: S608
    found = tx.execute(
        text(
            f"WITH RECURSIVE used AS ((SELECT queue AS name FROM {table.name} WHERE queue IS NOT NULL"  # noqa: S608
            f" AND sent_at IS NULL ORDER BY queue LIMIT 1) UNION ALL"
            f" SELECT (SELECT queue FROM {table.name} WHERE queue > used.name AND sent_at IS NULL"
            f" ORDER BY queue LIMIT 1) FROM used WHERE used.name IS NOT NULL),"
            f" names AS (SELECT name FROM used WHERE name IS NOT NULL)"
            f" SELECT name AS queue, (SELECT count(*) FROM (SELECT 1 {rows} <= :now LIMIT :most) AS counted) AS due,"
            f" {later} AS later, CAST(extract(epoch FROM CAST(:now AS timestamptz) -"
            f" (SELECT due_at {rows} <= :now ORDER BY due_at LIMIT 1)) AS double precision) AS oldest_s FROM names"
        ),
        {"now": now, "most": MOST},
    )
    return list(found.mappings())


def _under_way(tx: Connection, table: Table, now: datetime) -> list[Any]:
    """By the index of what was sent, which holds no more than the broker and the workers do.

    What was sent and not claimed waits as well: where no worker is, the first rows are all in the broker.
    """
    found = tx.execute(
        text(
            f"SELECT queue, count(*) FILTER (WHERE claim_id IS NULL) AS sent,"  # noqa: S608
            f" count(*) FILTER (WHERE claim_id IS NOT NULL) AS claimed,"
            f" CAST(extract(epoch FROM CAST(:now AS timestamptz)"
            f" - min(due_at) FILTER (WHERE claim_id IS NULL)) AS double precision) AS oldest_s"
            f" FROM {table.name} WHERE queue IS NOT NULL AND sent_at IS NOT NULL GROUP BY queue"
        ),
        {"now": now},
    )
    return list(found.mappings())
