"""Starts the chain for a chunk of ids, and tells how full the queues are."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import redis
from celery import Celery, chain
from kombu.exceptions import KombuError, OperationalError

from config.queues import QUEUES, STAGES, is_quarantine, queue_for
from config.settings import Settings
from revpipe.errors import Transient
from tasks.app import HEADER, SENT, make_app

EPOCH_KEY: Final = "revpipe:epoch"
PUBLISH_SECONDS: Final = 2.0
WORKER_PUBLISHERS: Final = 2
"""Connections on which a worker publishes the next links of its chains."""
ASKING: Final = 1
"""Connections on which a process asks how full the queues are: a question takes less than a millisecond."""


class CeleryDispatcher:
    """The Dispatcher port over Celery and a Redis-protocol broker."""

    def __init__(self, app: Celery, broker: redis.Redis) -> None:
        self.app = app
        self._broker = broker

    def room(self, queue: str) -> int:
        """How many more messages the queue should hold now; 0 if full or the broker can't be asked."""
        try:
            held = self._broker.llen(queue)
        except redis.RedisError:
            return 0
        return max(0, QUEUES[queue].depth - int(held))

    def send(self, stage: str, queue: str, ids: Sequence[uuid.UUID], send_no: int, correlation_id: str) -> None:
        """Publish the first link; the later ones follow from stage to stage. Raises Transient."""
        message = {"v": 1, "send": send_no, "ids": [str(one) for one in ids]}
        try:
            self._links(stage, queue, message).apply_async(headers={HEADER: correlation_id}, retry=False)
        except (KombuError, OperationalError, redis.RedisError, OSError) as error:
            raise Transient(f"the broker did not take the message: {type(error).__name__}", ambiguous=True) from error

    def _links(self, stage: str, queue: str, message: dict[str, Any]) -> Any:
        first = self.app.signature(stage, args=(message,), queue=queue)
        if stage not in STAGES or is_quarantine(queue):
            return first
        priority = QUEUES[queue].priority
        rest = STAGES[STAGES.index(stage) + 1 :]
        later = [self.app.signature(name, queue=queue_for(name, priority)) for name in rest]
        return chain(first, *later) if later else first

    def oldest(self, queue: str) -> datetime | None:
        """When the message at the head of the queue was sent, None if the queue is empty."""
        try:
            head = self._broker.lindex(queue, -1)
        except redis.RedisError as error:
            raise Transient(f"the broker can't be asked: {type(error).__name__}") from error
        if head is None:
            return None
        try:
            return datetime.fromtimestamp(float(json.loads(head)["headers"][SENT]), UTC)
        except (ValueError, KeyError, TypeError):
            return datetime.fromtimestamp(0, UTC)

    def epoch(self) -> str | None:
        """The mark of the broker's present life, None once it lost what it held."""
        try:
            mark = self._broker.get(EPOCH_KEY)
        except redis.RedisError as error:
            raise Transient(f"the broker can't be asked: {type(error).__name__}") from error
        return mark if mark is None else str(mark)

    def begin_epoch(self) -> str:
        """Mark the broker's present life anew."""
        mark = uuid.uuid4().hex
        try:
            self._broker.set(EPOCH_KEY, mark)
        except redis.RedisError as error:
            raise Transient(f"the broker can't be asked: {type(error).__name__}") from error
        return mark


def connect(settings: Settings, *, publisher_only: bool = True) -> CeleryDispatcher:
    """A dispatcher for `settings`. One that only publishes waits two seconds for the broker at the most."""
    if publisher_only:
        app = make_app(settings, socket_timeout=PUBLISH_SECONDS)
    else:
        app = make_app(settings, publishers=WORKER_PUBLISHERS)
    return CeleryDispatcher(app, broker_client(settings))


def broker_client(settings: Settings) -> redis.Redis:
    """A client of the Redis that holds the queues, with bounded waits."""
    url = (settings.broker or "").replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=ASKING,
        timeout=PUBLISH_SECONDS,
        socket_timeout=PUBLISH_SECONDS,
        socket_connect_timeout=PUBLISH_SECONDS,
        decode_responses=True,
    )
    return redis.Redis.from_pool(pool)
