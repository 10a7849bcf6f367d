"""How long the work in hand is surely ours: asked by the gate as the last thing before every call to a vendor.

A process that was stopped for longer than its lease (a frozen dyno, a suspended machine) wakes up in the middle of
a call that meanwhile belongs to another worker. The database can't warn it in time, its own clock can.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Final

from revpipe.errors import Transient

LONGEST_MARGIN: Final = 4.0
"""Seconds that must be left of a lease when a call begins: connecting may take three before anything is sent."""


class LeaseOver(Transient):
    """The work may be somebody else's by now, so no call is made for it."""

    code = "lease_over"


class Hold:
    """The end of one lease by this process's own clock, which goes on while the process is stopped."""

    def __init__(self, lasts: timedelta, asked_at: float) -> None:
        self._lasts = lasts.total_seconds()
        self._margin = min(LONGEST_MARGIN, self._lasts / 4)
        self._until = asked_at + self._lasts

    def begin(self, asked_at: float) -> None:
        """The lease was taken, or found to be ours, by a statement that was begun at `asked_at` (monotonic seconds)."""
        self._until = asked_at + self._lasts

    def prolong(self, asked_at: float) -> None:
        """The lease was renewed as far as it was still ours; one that had been over stays over."""
        if asked_at <= self._until:
            self.begin(asked_at)

    def check(self) -> None:
        """Raise LeaseOver unless enough is left for a call."""
        if time.monotonic() > self._until - self._margin:
            raise LeaseOver("the lease on this work is over or nearly so; nothing was sent")


_present: ContextVar[Hold | None] = ContextVar("hold", default=None)


@contextmanager
def holding(hold: Hold) -> Iterator[None]:
    """Calls to vendors within the block are made under this hold."""
    token = _present.set(hold)
    try:
        yield
    finally:
        _present.reset(token)


def check() -> None:
    """Raise LeaseOver if the work in hand, if any, may no longer be ours."""
    hold = _present.get()
    if hold is not None:
        hold.check()
