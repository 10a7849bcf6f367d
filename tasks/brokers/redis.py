"""Redis, or anything that speaks its protocol, as the broker: each queue is a list, its head at the right end."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import redis
from kombu.entity import Queue

from config.settings import Settings
from revpipe.errors import Transient
from revpipe.ports import DeadMessage
from tasks.brokers.port import PATIENCE, sent_at
from tasks.dead_queue import UNDELIVERABLE, DeadQueues

EPOCH_KEY: Final = "revpipe:epoch"
TURN_KEY: Final = "revpipe:turn:"
ASKING: Final = 1
"""Connections on which a process asks how full the queues are: a question takes less than a millisecond."""


class RedisBroker:
    """The Broker port over a client that is already bounded in its waits."""

    errors: tuple[type[Exception], ...] = (redis.RedisError,)
    connections = ASKING

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._dead = DeadQueues(client)

    def waiting(self, queue: str) -> int:
        """The length of the list."""
        with _in_time():
            return int(self.client.llen(queue))

    def turn(self, queue: str, seconds: float) -> bool:
        """A key for each queue that lives so long: one turn for all processes."""
        with _in_time():
            return bool(self.client.set(f"{TURN_KEY}{queue}", 1, nx=True, px=round(1000 * seconds)))

    def prolong(self, queue: str, seconds: float) -> None:
        """Let the key live longer."""
        with _in_time():
            self.client.set(f"{TURN_KEY}{queue}", 1, px=round(1000 * seconds))

    def oldest(self, queue: str) -> datetime | None:
        """When the message at the head of the list was sent."""
        with _in_time():
            # Undecoded, for a stranger's entry may be anything.
            head = self.client.execute_command("LINDEX", queue, -1, NEVER_DECODE=True)
        if head is None:
            return None
        try:
            headers = json.loads(head)["headers"]
        except (ValueError, KeyError, TypeError):
            headers = None
        return sent_at(headers)

    def epoch(self) -> str | None:
        """A key that only FLUSHALL, an eviction or a restart without persistence takes away."""
        with _in_time():
            mark = self.client.get(EPOCH_KEY)
        return mark if mark is None else str(mark)

    def begin_epoch(self) -> str:
        """Set the key."""
        mark = uuid.uuid4().hex
        with _in_time():
            self.client.set(EPOCH_KEY, mark)
        return mark

    def put_dead(self, dead: DeadMessage) -> None:
        """Add to the list of its queue's dead; a full one raises NoRoom."""
        with _in_time():
            self._dead.put(dead)

    def take_dead(self, limit: int) -> Sequence[DeadMessage]:
        """What lies at the old end of these lists."""
        with _in_time():
            return self._dead.take(limit)

    def forget_dead(self, messages: Sequence[DeadMessage]) -> None:
        """Remove the very entries that were taken."""
        with _in_time():
            self._dead.forget(messages)

    def close(self) -> None:
        """Disconnect."""
        self.client.close()


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise Transient(f"the broker can't be asked: {type(error).__name__}") from error


def client(settings: Settings) -> redis.Redis:
    """A client of the Redis that holds the queues, with bounded waits."""
    url = (settings.broker or "").replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=ASKING,
        timeout=PATIENCE,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        decode_responses=True,
    )
    return redis.Redis.from_pool(pool)


def options(_: Settings, patience: float) -> dict[str, Any]:
    """Celery's settings for this broker; `patience` bounds every wait for it, in seconds."""
    return {
        "broker_transport_options": {
            "socket_timeout": patience,
            "socket_connect_timeout": PATIENCE,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "visibility_timeout": 300,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "deadletter_queue": UNDELIVERABLE,
        },
    }


def work_queue(name: str) -> Queue:
    """A queue for Celery."""
    return Queue(name, routing_key=name)
