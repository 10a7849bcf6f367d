"""Claiming rows, and handing them on: the lease that makes one worker at a time responsible for a row."""

import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.columns import Uuids
from revpipe.db import sql
from revpipe.ids import uuid7

LEASE: Final = timedelta(seconds=30)
MESSAGE_VERSION: Final = 1


class NewerMessage(Exception):
    """A message of a later release than this one. It names rows that are sent again, to whoever can read it then."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of work items: its name and key, and the condition a row of a stage must meet."""

    name: str
    key: str
    at_stage: str


SIGNALS: Final = Table("signals", "signal_id", "stage = :stage")
ACTIONS: Final = Table("actions", "action_id", "state IN ('ready', 'running')")
REQUESTS: Final = Table("approval_requests", "request_id", "state IN ('wanted', 'shown')")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one message carries: ids of one table, all sent with one send number."""

    ids: tuple[uuid.UUID, ...]
    send_no: int

    def to_message(self) -> dict[str, Any]:
        """The JSON form: nothing but ids and numbers."""
        return {"v": MESSAGE_VERSION, "send": self.send_no, "ids": [str(one) for one in self.ids]}

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Chunk":
        """Read the JSON form; fields that it does not know are left alone.

        Raises NewerMessage for what a later release sent, ValueError, KeyError or TypeError for what nobody sends.
        """
        version = message.get("v") if isinstance(message, Mapping) else None
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ValueError("a message of an unknown version")
        if version > MESSAGE_VERSION:
            raise NewerMessage(f"a message of version {version}; this release knows 1 to {MESSAGE_VERSION}")
        return cls(tuple(uuid.UUID(str(one)) for one in message["ids"]), int(message["send"]))


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows that are ours for as long as the claim `lasts`, unless renewed; `rows` are as they stood when claimed."""

    table: Table
    claim_id: uuid.UUID
    claimed_at: datetime
    rows: tuple[Mapping[str, Any], ...]
    lasts: timedelta = LEASE
    beside: Mapping[uuid.UUID, Any] = field(default_factory=dict)
    """What the stage had read with the claim, by the rows' keys."""

    def only(self, rows: Sequence[Mapping[str, Any]]) -> "Claim":
        """The same claim, narrowed to some of its rows."""
        return replace(self, rows=tuple(rows))

    @property
    def ids(self) -> list[uuid.UUID]:
        """The ids claimed."""
        return [row[self.table.key] for row in self.rows]

    def spent(self, row: Mapping[str, Any], now: datetime) -> dict[str, int]:
        """For the trail: how long a row waited for its claim, and how long the work has taken since."""
        return {
            "waited_ms": round((self.claimed_at - row["due_at"]).total_seconds() * 1000),
            "took_ms": round((now - self.claimed_at).total_seconds() * 1000),
        }


def claim(
    tx: Connection,
    table: Table,
    stage: str,
    chunk: Chunk,
    now: datetime,
    extra: str = ", tried_at = :now",
    lasts: timedelta = LEASE,
) -> Claim:
    """Take the rows of `chunk` that are at `stage`, were sent with its number, and that nobody holds.

    The attempt is counted here, before the work, so that a crash counts too. The rows come back as they were
    before, but for `attempts`. `extra` is further SQL assignments.

    A row that is locked is waited for, in id order: whoever feeds the queue a moment later locks it to find that it has
    been sent. Passed over, it would be nobody's until the sweep, and its message gone.
    """
    claim_id = uuid7()
    rows = tx.execute(
        sql(
            f"WITH mine AS ("  # noqa: S608
            f" SELECT * FROM {table.name} WHERE {table.key} = ANY(:ids) AND {table.at_stage}"
            f" AND queue IS NOT NULL AND sent_at IS NOT NULL AND send_no = :send_no"
            f" AND (lease_until IS NULL OR lease_until < :now)"
            f" ORDER BY {table.key} FOR UPDATE),"
            f" taken AS (UPDATE {table.name} AS t SET claim_id = :claim, lease_until = :until,"
            f" attempts = t.attempts + 1, worker = :worker, waits_for = NULL{extra} FROM mine"
            f" WHERE t.{table.key} = mine.{table.key}"
            f" RETURNING t.{table.key})"
            f" SELECT mine.* FROM mine JOIN taken USING ({table.key}) ORDER BY {table.key}"
        ),
        {
            "ids": Uuids(chunk.ids),
            "send_no": chunk.send_no,
            "stage": stage,
            "now": now,
            "claim": claim_id,
            "until": now + lasts,
            "worker": worker_name(),
        },
    ).mappings()
    taken = tuple({**row, "attempts": row["attempts"] + 1} for row in rows)
    return Claim(table, claim_id, now, taken, lasts)


def renew(tx: Connection, held: Claim, now: datetime, extra: str = "") -> set[uuid.UUID]:
    """Put the end of the lease off; returns the ids that are still ours. `extra` is further SQL assignments.

    Locks in id order, as `still_held` does: the renewing thread and the work itself may meet on the same rows.
    """
    found = tx.execute(
        sql(
            f"WITH mine AS (SELECT {held.table.key} FROM {held.table.name}"  # noqa: S608
            f" WHERE {held.table.key} = ANY(:ids) AND claim_id = :claim ORDER BY {held.table.key} FOR UPDATE)"
            f" UPDATE {held.table.name} AS t SET lease_until = :until{extra} FROM mine"
            f" WHERE t.{held.table.key} = mine.{held.table.key} RETURNING t.{held.table.key}"
        ),
        {"until": now + held.lasts, "now": now, "claim": held.claim_id, "ids": Uuids(held.ids)},
    )
    return set(found.scalars())


def still_held(tx: Connection, held: Claim) -> list[uuid.UUID]:
    """Lock and return the ids whose claim is still ours, in id order; the others have another holder."""
    found = tx.execute(
        sql(
            f"SELECT {held.table.key} FROM {held.table.name}"  # noqa: S608
            f" WHERE {held.table.key} = ANY(:ids) AND claim_id = :claim ORDER BY {held.table.key} FOR UPDATE"
        ),
        {"ids": Uuids(held.ids), "claim": held.claim_id},
    )
    return list(found.scalars())


def move(tx: Connection, table: Table, ids: Sequence[uuid.UUID], values: Mapping[str, Any]) -> None:
    """Give up the claim on `ids` and set `values`; the rows' next piece of work starts with no attempts or deaths."""
    _give_up(tx, table, ids, {"attempts": 0, "deaths": 0, "tried_at": None, **values})


def postpone(
    tx: Connection, table: Table, ids: Sequence[uuid.UUID], due: datetime, values: Mapping[str, Any] | None = None
) -> None:
    """Give up the claim on `ids` and let them be due again at `due`; attempts go on counting."""
    _give_up(tx, table, ids, {"sent_at": None, "due_at": due, **(values or {})})


def _give_up(tx: Connection, table: Table, ids: Sequence[uuid.UUID], values: Mapping[str, Any]) -> None:
    if not ids:
        return
    columns = {"claim_id": None, "lease_until": None, "waits_for": None, **values}
    settings = ", ".join(f"{name} = :{name}" for name in columns)
    tx.execute(
        sql(f"UPDATE {table.name} SET {settings} WHERE {table.key} = ANY(:ids)"),  # noqa: S608
        {**columns, "ids": Uuids(sorted(ids))},
    )


def worker_name() -> str:
    """Who does the work, for the trail: host and process."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    """By process: a name that was made before a fork is not that of the child."""
    return f"{socket.gethostname()}:{pid}"
