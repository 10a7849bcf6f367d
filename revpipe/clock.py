"""The time as the ledger's server has it, so that all hosts mean the same moment whatever their own clocks say."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

log = structlog.get_logger(__name__)

SLOW: Final = 1.0
"""Seconds: an answer that took longer tells the time too vaguely to be worth more than an earlier one."""
TELL: Final = timedelta(seconds=5)
"""A host whose own clock is further off than that has it said in its log."""


class LedgerClock:
    """The Clock that product processes use: a lease must not be over on one host while it lasts on another.

    Its engine (`revpipe.db.make_engine`) tells it the server's time whenever it connects or comes back to a connection
    after a pause; in between it goes by the monotonic clock, which nobody can set. Until it has first been told, it
    goes by the host's own.
    """

    def __init__(self) -> None:
        self._told: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Aware UTC."""
        told = self._told
        if told is None:
            return datetime.now(UTC)
        return told[0] + timedelta(seconds=time.monotonic() - told[1])

    def hear(self, server: datetime, asked_at: float, answered_at: float) -> None:
        """Take the server's time, which it told between two moments (monotonic seconds)."""
        took = answered_at - asked_at
        if self._told is not None and took > SLOW:
            return
        first = self._told is None
        self._told = (server.astimezone(UTC) + timedelta(seconds=took / 2), answered_at)
        off = datetime.now(UTC) - self.now()
        if first and abs(off) > TELL:
            log.warning("clock_off", seconds=round(off.total_seconds(), 1))
