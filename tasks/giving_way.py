"""How work that can wait lets urgent work go first on a machine that both share.

Niceness alone does not do it: the ledger's server works for both alike, and urgent work that gets a third of a machine
is soon more than it can do. Why it is done so stands in docs/decisions/033.
"""

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from config.queues import QUEUES, STAGES, URGENT, queue_for
from revpipe.errors import Transient

SPACING_SECONDS: Final = 0.5
"""From one chunk's beginning to the next in a process, while urgent chunks wait: a burst of urgent ones, however long,
leaves what can wait a guaranteed pace."""
LOOK_SECONDS: Final = 0.025
LOOKED_AT: Final = tuple(queue_for(stage, priority) for stage in STAGES for priority in URGENT)
"""Whose messages go first: the stages', which wait for nothing but the machine. What goes to a vendor may wait for the
vendor's rate, and then nobody would be helped."""


class GivingWay:
    """Asked before each chunk. `waiting` tells how many messages a queue holds, or raises Transient."""

    def __init__(self, waiting: Callable[[str], int], *, spacing: float = SPACING_SECONDS) -> None:
        self._waiting = waiting
        self._spacing = spacing
        self._turn = Lock()
        self._began = float("-inf")

    def let_pass(self, queue: str) -> None:
        """Return when a chunk of `queue` may begin: at once, unless urgent chunks wait and another has just begun."""
        if not can_wait(queue):
            return
        # Threads come in turn, so that four of them begin no more chunks than one would.
        with self._turn:
            until = self._began + self._spacing
            while (left := until - time.monotonic()) > 0 and self._urgent_waits():
                time.sleep(min(left, LOOK_SECONDS))
            self._began = time.monotonic()

    def _urgent_waits(self) -> bool:
        try:
            return any(self._waiting(queue) for queue in LOOKED_AT)
        except Transient:
            return False


def can_wait(queue: str) -> bool:
    """Whether its work gives way. What is in quarantine may be urgent itself."""
    known = QUEUES.get(queue)
    return known is not None and known.priority in ("standard", "low")
