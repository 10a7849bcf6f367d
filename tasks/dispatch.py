"""Starts the chain for a chunk of ids, and tells how full the queues are."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from celery import Celery, chain
from kombu.exceptions import KombuError

from config.queues import QUEUES, STAGES, is_quarantine, queue_for
from config.settings import Settings
from revpipe.errors import Transient
from revpipe.ports import DeadMessage
from tasks.app import HEADER, make_app
from tasks.brokers import redis
from tasks.brokers.amqp import AmqpBroker
from tasks.brokers.port import PATIENCE, SENT, Broker
from tasks.brokers.redis import RedisBroker

AT_ONCE: Final = 0.5
"""Seconds within which a refusal counts as a dead connection's, so that a second try is worth its time."""
GATHER_SECONDS: Final = 0.02
"""From one chunk that is not full to the next for one queue, for each row in the first: docs/decisions/034."""
GATHER_MOST: Final = 0.3
"""The longest that can become."""
WORKER_PUBLISHERS: Final = 2
"""Connections on which a worker publishes the next links of its chains."""


class CeleryDispatcher:
    """The Dispatcher port over Celery and either broker."""

    def __init__(self, app: Celery, broker: Broker) -> None:
        self.app = app
        self.broker = broker
        self.gathers = True

    def room(self, queue: str) -> int:
        """How many more messages the queue should hold now; 0 if full or the broker can't be asked."""
        try:
            held = self.broker.waiting(queue)
        except Transient:
            return 0
        return max(0, QUEUES[queue].depth - held)

    def turn(self, queue: str) -> bool:
        """Whether no turn of the queue lasts any more; the next one begins with the answer."""
        if not self.gathers:
            return True
        try:
            return self.broker.turn(queue, GATHER_SECONDS)
        except Transient:
            return True

    def gather(self, queue: str, rows: int) -> None:
        """Make the turn last for so many rows, within bounds."""
        if self.gathers and rows > 1:
            with suppress(Transient):
                self.broker.prolong(queue, min(rows * GATHER_SECONDS, GATHER_MOST))

    def send(
        self,
        stage: str,
        queue: str,
        message: Mapping[str, Any],
        correlation_id: str,
        sent_at: datetime,
    ) -> None:
        """Publish the first link; the later ones follow from stage to stage. Raises Transient."""
        headers = {HEADER: correlation_id, SENT: sent_at.timestamp()}
        refusals: tuple[type[Exception], ...] = (KombuError, OSError, *self.broker.errors)
        began = time.monotonic()
        for last in (False, True):
            try:
                self._links(stage, queue, message).apply_async(headers=dict(headers), retry=False)
                return
            except refusals as error:
                # A connection that died while nobody used it fails at once, and the next one may be good. Should the
                # message have gone out all the same, then of two with one send number the second finds nothing.
                if last or time.monotonic() > began + AT_ONCE:
                    name = type(error).__name__
                    raise Transient(f"the broker did not take the message: {name}", ambiguous=True) from error

    def _links(self, stage: str, queue: str, message: Mapping[str, Any]) -> Any:
        first = self.app.signature(stage, args=(dict(message),), queue=queue)
        if stage not in STAGES or is_quarantine(queue):
            return first
        priority = QUEUES[queue].priority
        rest = STAGES[STAGES.index(stage) + 1 :]
        later = [self.app.signature(name, queue=queue_for(name, priority)) for name in rest]
        return chain(first, *later) if later else first

    def oldest(self, queue: str) -> datetime | None:
        """A time such that the queue has moved past all that was sent before it, None if it has moved past all."""
        return self.broker.oldest(queue)

    def epoch(self) -> str | None:
        """The mark of the broker's present life, None once it lost what it held."""
        return self.broker.epoch()

    def begin_epoch(self) -> str:
        """Mark the broker's present life anew."""
        return self.broker.begin_epoch()

    def close(self) -> None:
        """Give all connections up."""
        self.broker.close()
        self.app.close()

    def take_dead(self, limit: int) -> Sequence[DeadMessage]:
        """At most `limit` messages that were put aside; they stay until forgotten."""
        return self.broker.take_dead(limit)

    def forget_dead(self, messages: Sequence[DeadMessage]) -> None:
        """Remove messages that are in the ledger now."""
        self.broker.forget_dead(messages)


def connect(settings: Settings, *, publisher_only: bool = True) -> CeleryDispatcher:
    """A dispatcher for `settings`. One that only publishes waits two seconds for the broker at the most."""
    if publisher_only:
        app = make_app(settings, socket_timeout=PATIENCE)
    else:
        app = make_app(settings, publishers=WORKER_PUBLISHERS)
    return CeleryDispatcher(app, AmqpBroker(app) if settings.is_amqp else RedisBroker(redis.client(settings)))
