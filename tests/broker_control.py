"""Looking into the broker and taking things away from it, whichever broker the tests run on.

The fixture `broker` of tests/integration and `control(url)` give a BrokerControl: `count(queue)`, `messages(queue)`
(the oldest first, and they stay), `empty(*queues)` (those messages are lost, nothing else), `flush()` (all is lost, the
mark of the broker's life too: FLUSHALL on Redis, a purge of every queue on RabbitMQ), `put(queue, ...)` (a stranger's
message at the end of the queue), `held(queue)` (as `count`, with what workers hold) and `dead_queue(queue)` (where
workers put aside what came from there). tests/e2e/broker_view.py shows all that either broker holds as one text.
Tests that use nothing else run on both: `make test` on Redis, `make test-rabbitmq` on RabbitMQ.
"""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import amqp
import redis
from amqp.basic_message import Message
from amqp.exceptions import AMQPError, NotFound
from kombu.utils.url import parse_url

from config.queues import QUEUES
from tasks.brokers.amqp import EPOCH_QUEUE
from tasks.brokers.amqp_dead import DEAD_QUEUE
from tests import rabbitmq_server


@dataclass(frozen=True)
class Held:
    """One message in a queue."""

    headers: dict[str, Any]
    body: bytes

    @property
    def argument(self) -> dict[str, Any]:
        """The one argument of the task that it asks for."""
        argument: dict[str, Any] = json.loads(self.body)[0][0]
        return argument


Headers = Mapping[str, Any] | None
# Without one each connection looks up the library's version on disk, which takes longer than all that a test asks for.
_DRIVER: Final = redis.DriverInfo()
PLAIN: Final = {"content_type": "application/json", "content_encoding": "utf-8"}


class BrokerControl(Protocol):
    """What a test may do to a broker behind the product's back."""

    def count(self, queue: str) -> int:
        """How many messages wait in the queue."""

    def messages(self, queue: str) -> list[Held]:
        """The messages that wait in the queue, the oldest first; they stay there."""

    def empty(self, *queues: str) -> None:
        """Lose what these queues hold."""

    def flush(self) -> None:
        """Lose everything."""

    def held(self, queue: str) -> int:
        """How many messages wait in the queue or are in a worker's hands."""

    def dead_queue(self, queue: str) -> str:
        """The queue of what workers of `queue` put aside."""

    def put(self, queue: str, count: int = 1, headers: Headers = None, body: bytes = b"x", **properties: Any) -> None:
        """Add messages that the product did not send; `properties` are content_type and content_encoding."""

    def close(self) -> None:
        """Give the connection up."""


def control(url: str) -> BrokerControl:
    """The control of the broker at `url`."""
    return RabbitControl(url) if url.startswith("amqp") else RedisControl(url)


class RedisControl:
    """Redis and its kin, where a queue is a list whose head is at the right end."""

    def __init__(self, url: str) -> None:
        at = url.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
        self.client = redis.Redis.from_url(at, driver_info=_DRIVER)

    def count(self, queue: str) -> int:
        return int(self.client.llen(queue))

    def messages(self, queue: str) -> list[Held]:
        found = [json.loads(raw) for raw in reversed(self.client.lrange(queue, 0, -1))]
        return [Held(one["headers"], base64.b64decode(one["body"])) for one in found]

    def empty(self, *queues: str) -> None:
        self.client.delete(*queues)

    def flush(self) -> None:
        self.client.flushall()

    def held(self, queue: str) -> int:
        with self.client.pipeline() as both:  # One look at both places, or a message may pass between the looks.
            both.llen(queue)
            both.hvals("unacked")
            waiting, taken = both.execute()
        return int(waiting) + [json.loads(one)[2] for one in taken].count(queue)

    def dead_queue(self, queue: str) -> str:
        return f"dead.{queue}"

    def put(self, queue: str, count: int = 1, headers: Headers = None, body: bytes = b"x", **properties: Any) -> None:
        self.client.lpush(queue, *(envelope(queue, headers or {}, body, **properties) for _ in range(count)))

    def close(self) -> None:
        self.client.close()


def envelope(queue: str, headers: Mapping[str, Any], body: bytes, **properties: Any) -> bytes:
    """A message as kombu writes it into a Redis list."""
    told = PLAIN | properties
    entry = {
        "body": base64.b64encode(body).decode(),
        "content-type": told["content_type"],
        "content-encoding": told["content_encoding"],
        "headers": dict(headers),
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
            "body_encoding": "base64",
        },
    }
    return json.dumps(entry).encode()


class RabbitControl:
    """RabbitMQ, over a connection for each question."""

    def __init__(self, url: str) -> None:
        at = parse_url(url)
        self._where = {
            "host": f"{at['hostname']}:{at['port'] or 5672}",
            "userid": at["userid"],
            "password": at["password"],
            "virtual_host": at["virtual_host"] or "/",
        }

    def count(self, queue: str) -> int:
        with self._connection() as connection:
            return _ready(connection, queue)

    def messages(self, queue: str) -> list[Held]:
        with self._connection() as connection:
            return _held(connection, queue)

    def empty(self, *queues: str) -> None:
        with self._connection() as connection:
            for queue in queues:
                with suppress(NotFound):
                    connection.channel().queue_purge(queue)

    def settled(self, seconds: float = 30.0) -> None:
        """Wait until its queues can be used: after a start each has to find its leader first."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._use_all()
            except (AMQPError, OSError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def _use_all(self) -> None:
        with self._connection() as connection:
            for queue in (EPOCH_QUEUE, DEAD_QUEUE, *QUEUES):
                with suppress(NotFound):
                    channel = connection.channel()
                    message = channel.basic_get(queue)
                    if message is not None:
                        channel.basic_reject(message.delivery_tag, requeue=True)

    def flush(self) -> None:
        self.empty(EPOCH_QUEUE, DEAD_QUEUE, *QUEUES)

    def held(self, queue: str) -> int:
        return rabbitmq_server.the_shared().held(self._where["virtual_host"], queue)

    def dead_queue(self, queue: str) -> str:
        return DEAD_QUEUE

    def put(self, queue: str, count: int = 1, headers: Headers = None, body: bytes = b"x", **properties: Any) -> None:
        told = {name: value for name, value in (PLAIN | properties).items() if value is not None}
        made = [Message(body, application_headers=dict(headers or {}), delivery_mode=2, **told) for _ in range(count)]
        self.publish(queue, *made)

    def publish(self, queue: str, *messages: Any) -> None:
        """Add messages just as they are."""
        with self._connection() as connection:
            channel = connection.channel()
            channel.queue_declare(queue, passive=True)  # What is sent to a queue that is not there is lost.
            for message in messages:
                channel.basic_publish(message, routing_key=queue)

    def text(self) -> str:
        """All that the queues hold."""
        with self._connection() as connection:
            names = [name for name in (EPOCH_QUEUE, DEAD_QUEUE, *QUEUES) if _ready(connection, name)]
            found = [(name, one.headers, one.body) for name in names for one in _held(connection, name)]
        return "\n".join(map(str, found))

    def close(self) -> None:
        """Nothing is held open."""

    def _connection(self) -> Any:
        return amqp.Connection(**self._where, confirm_publish=True, connect_timeout=10)


def _ready(connection: Any, queue: str) -> int:
    try:
        return int(connection.channel().queue_declare(queue, passive=True).message_count)
    except NotFound:
        return 0


def _held(connection: Any, queue: str) -> list[Held]:
    """All messages of a queue; they go back to its head, in their order."""
    if not _ready(connection, queue):
        return []
    channel = connection.channel()
    found = list(iter(lambda: channel.basic_get(queue), None))
    for message in found:
        channel.basic_reject(message.delivery_tag, requeue=True)
    while _ready(connection, queue) < len(found):
        time.sleep(0.01)
    return [
        Held(dict(one.headers or {}), one.body if isinstance(one.body, bytes) else one.body.encode()) for one in found
    ]
