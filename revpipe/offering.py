"""Sending on what a request brought, without letting the request wait for the broker."""

import time
from collections import Counter
from collections.abc import Iterable
from threading import Condition, Thread
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config.queues import QUEUES
from revpipe import feed
from revpipe.services import Services

log = structlog.get_logger(__name__)

REST_SECONDS: Final = 0.02
"""How long a queue is left alone in which messages wait: they give the next one time to fill up."""
RESTS: Final = 20
"""How often in a row. After that it is left to those who work on it, and to the keeper, who comes by twice a second."""


class Offering:
    """Offers queues from a thread of its own; what is asked for while it is at work is offered together, next.

    A queue in which messages wait is looked at again in a moment. To ask the ledger for each row that joins a backlog
    would be work for nothing: whoever works on it tops it up (`feed.behind`). Should the process end before, the keeper
    sends: nothing depends on it.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked: dict[str, None] = {}
        self._came: Counter[str] = Counter()
        self._resting: dict[str, float] = {}
        self._rests: Counter[str] = Counter()
        self._changed = Condition()
        self._thread: Thread | None = None

    def soon(self, queues: Iterable[str], rows: int = 1) -> None:
        """Offer `queues`, in which there are so many rows more, as soon as can be; returns at once."""
        with self._changed:
            for name in queues:
                self._came[name] += rows
                if self._came[name] >= QUEUES[name].chunk:
                    self._resting.pop(name, None)
            awake = [name for name in queues if name not in self._resting]
            if not awake:
                return
            self._asked.update(dict.fromkeys(awake))
            if self._thread is None:
                # Only now: a server that forks has forked by the time of its first request.
                self._thread = Thread(target=self._run, name="offering", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            queues = self._next()
            try:
                others = feed.offer_ready(self._services, queues, self._full(queues))
            except SQLAlchemyError as error:
                log.warning("not_offered", queues=queues, error=type(error).__name__)
            else:
                self._let_rest(others, [name for name in queues if name not in others])

    def _full(self, queues: Iterable[str]) -> list[str]:
        """Those that got a whole chunk since that was last asked, or since they were last sent to."""
        with self._changed:
            full = [name for name in queues if self._came[name] >= QUEUES[name].chunk]
            for name in full:
                del self._came[name]
            return full

    def _let_rest(self, others: Iterable[str], offered: Iterable[str]) -> None:
        with self._changed:
            for name in offered:
                self._rests.pop(name, None)
                self._came.pop(name, None)
            for name in others:
                self._rests[name] += 1
                if self._rests[name] <= RESTS:
                    self._resting[name] = time.monotonic() + REST_SECONDS
                else:
                    del self._rests[name]

    def _next(self) -> list[str]:
        """Waits for queues that are asked for or have rested; none of them rests any more."""
        with self._changed:
            while True:
                now = time.monotonic()
                rested = [name for name, until in self._resting.items() if until <= now]
                if self._asked or rested:
                    for name in rested:
                        del self._resting[name]
                    queues = list(self._asked | dict.fromkeys(rested))
                    self._asked = {}
                    return queues
                self._changed.wait(min(self._resting.values(), default=now + 3600) - now)
