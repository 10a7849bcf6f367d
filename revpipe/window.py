"""The window: within 15 minutes of its firing a signal's actions are done, or ask for a person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from revpipe.db import sql

WINDOW: Final = timedelta(minutes=15)
LOOKED_AT: Final = 500
"""How many of the newest signals are looked at, so that the answer costs the same in any ledger."""
ENDED_WITHOUT: Final = ("suppressed", "cancelled", "rejected", "expired")
"""Actions that were called off owe nobody anything, unless a person had been asked in time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The window over the newest signals: `actions` due, how many of them `late`, the oldest of these signals."""

    actions: int
    late: int
    since: datetime | None

    @property
    def share(self) -> float | None:
        """From 0 to 1; None while nothing was due."""
        return None if not self.actions else 1 - self.late / self.actions


def kept(tx: Connection, now: datetime) -> Kept:
    """How the window was kept for the actions of the newest signals; one that is still under way counts once late."""
    fired = {
        row.signal_id: row.fired_at
        for row in tx.execute(
            sql("SELECT signal_id, fired_at FROM signals ORDER BY received_at DESC LIMIT :most"), {"most": LOOKED_AT}
        )
    }
    # Asked for one after the other: joined, a planner may walk through all approvals that there ever were.
    actions = tx.execute(
        sql("SELECT action_id, signal_id, state, done_at FROM actions WHERE signal_id = ANY(:ids)"),
        {"ids": list(fired)},
    ).all()
    asked = {
        row.action_id: row.requested_at
        for row in tx.execute(
            sql("SELECT action_id, requested_at FROM approvals WHERE action_id = ANY(:ids)"),
            {"ids": [row.action_id for row in actions]},
        )
    }
    late = [_late(row.state, asked.get(row.action_id), row.done_at, fired[row.signal_id], now) for row in actions]
    told = [one for one in late if one is not None]
    return Kept(len(told), sum(told), min(fired.values(), default=None))


def _late(
    state: str, asked_at: datetime | None, done_at: datetime | None, fired_at: datetime, now: datetime
) -> bool | None:
    """Whether an action came too late; None for one that counts as neither (yet)."""
    if asked_at is None and state in ENDED_WITHOUT:
        return None
    reached = asked_at or done_at
    if reached is None:
        return True if now - fired_at > WINDOW else None
    return reached - fired_at > WINDOW
