"""Sending on what a request brought, without letting the request wait for the broker."""

from collections.abc import Iterable
from threading import Condition, Thread

import structlog
from sqlalchemy.exc import SQLAlchemyError

from revpipe import feed
from revpipe.services import Services

log = structlog.get_logger(__name__)


class Offering:
    """Offers queues from a thread of its own; what is asked for while it is at work is offered together, next.

    Should the process end before, the keeper sends: nothing depends on it.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked: dict[str, None] = {}
        self._changed = Condition()
        self._thread: Thread | None = None

    def soon(self, queues: Iterable[str]) -> None:
        """Offer `queues` as soon as can be; returns at once."""
        with self._changed:
            self._asked.update(dict.fromkeys(queues))
            if self._thread is None:
                # Only now: a server that forks has forked by the time of its first request.
                self._thread = Thread(target=self._run, name="offering", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._asked:
                    self._changed.wait()
                queues, self._asked = list(self._asked), {}
            try:
                feed.offer(self._services, queues)
            except SQLAlchemyError as error:
                log.warning("not_offered", queues=queues, error=type(error).__name__)
