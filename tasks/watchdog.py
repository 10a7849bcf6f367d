"""A worker that lives but no longer consumes ends itself, so that the platform starts another one.

What proves consumption is messages, not life: a worker may answer pings while its queues fill up.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Final

import sentry_sdk
import structlog

from revpipe.errors import Transient

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 5.0
DEAF_AFTER: Final = 60.0
START_SECONDS: Final = 60.0
"""A worker that has not heard anything yet may still be starting, which takes long on a busy machine."""
EXIT_CODE: Final = 70
"""EX_SOFTWARE of sysexits.h: the program itself is to blame."""


class Watchdog:
    """Looks at the queues every `every` seconds, and calls `end` when the worker let them wait all the time.

    `waiting` tells how many messages are in the worker's queues (raises Transient when the broker can't be asked),
    `free` how many of its slots are. Deaf is: messages waiting and a slot free at every look of `deaf_after` seconds,
    and none received; of START_SECONDS at the least while it has never received any. Looks are counted, not time, for
    a process that was suspended has missed its looks too.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        free: Callable[[], int],
        end: Callable[[int], None] | None = None,
        *,
        deaf_after: float = DEAF_AFTER,
        every: float = LOOK_SECONDS,
    ) -> None:
        self._waiting = waiting
        self._free = free
        self._end = end or end_now
        self._every = every
        self._looks = max(2, round(deaf_after / every))
        self._first_looks = max(self._looks, round(START_SECONDS / every))
        self._received = 0
        self._seen = 0
        self._deaf = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def heard(self) -> None:
        """A message was received."""
        self._received += 1

    def start(self) -> None:
        """Look on in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more: the worker has been told to stop, and takes nothing."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the end of that thread."""
        self._thread.join(seconds)

    def look(self) -> None:
        """One look."""
        received = self._received
        try:
            waiting = self._waiting()
        except Transient:
            # Nobody can receive anything now.
            waiting = 0
        if received != self._seen or waiting == 0 or self._free() <= 0:
            self._seen, self._deaf = received, 0
            return
        self._deaf += 1
        if self._deaf >= (self._looks if received else self._first_looks):
            log.error("worker_deaf", waiting=waiting, looks=self._deaf, received=received)
            self._end(EXIT_CODE)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.look()


def end_now(code: int) -> None:
    """End the process without asking any of its threads: at least one of them does not listen."""
    sentry_sdk.flush(timeout=2)
    sys.stderr.flush()
    os._exit(code)
