"""The first look: whether the window is kept, what is open, what waits and since when, what is dead."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from revpipe import balance, keeper, leases, queue_states, window
from revpipe.db import sql
from revpipe.queue_states import QueueState
from revpipe.window import Kept

MOST: Final = 1_000
"""Waiting approvals are counted up to here."""


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it at one time. `queues` are those in which something waits; `open` counts signals by what they wait for.

    `counted_at` is when the keeper last added the ledger up, None if it never has; `holds` whether it added up then.
    """

    window: Kept
    open: Mapping[str, int]
    queues: tuple[QueueState, ...]
    approvals: int
    dead_letters: int
    holds: bool
    counted_at: datetime | None
    keeper_s: float | None


def read(tx: Connection, now: datetime) -> Overview:
    """The overview; it costs the same at 10 thousand signals as at 10 million."""
    found = balance.last(tx) or {}
    duty = leases.state(tx, keeper.DUTY)
    return Overview(
        window=window.kept(tx, now),
        open={name: count for name, count in found.get("open", {}).items() if count},
        queues=tuple(one for one in queue_states.read(tx, now, whole=False) if one.oldest_s is not None),
        approvals=_waiting(tx),
        dead_letters=found.get("dead_letters_open", 0),
        holds=not found.get("off") and not found.get("stuck"),
        counted_at=datetime.fromisoformat(found["at"]) if found else None,
        keeper_s=(now - duty["round_at"]).total_seconds() if duty else None,
    )


def _waiting(tx: Connection) -> int:
    counted = "SELECT count(*) FROM (SELECT 1 FROM approvals WHERE state = 'open' LIMIT :most) AS counted"
    return int(tx.execute(sql(counted), {"most": MOST}).scalar_one())
