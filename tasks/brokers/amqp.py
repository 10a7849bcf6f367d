"""RabbitMQ as the broker, on quorum queues. Why it is asked as it is stands in docs/decisions/010."""

import ssl
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from amqp.basic_message import Message
from amqp.exceptions import AMQPError, NotFound, PreconditionFailed
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import KombuError

from config.settings import Settings
from revpipe.errors import Transient
from revpipe.ports import DeadMessage
from tasks.brokers.amqp_dead import DEAD_QUEUE, TO_THE_DEAD, DeadQueue
from tasks.brokers.port import PATIENCE, sent_at

T = TypeVar("T")

EPOCH_QUEUE: Final = "revpipe.epoch"
QUORUM: Final = {"x-queue-type": "quorum", "x-delivery-limit": 2_000_000_000}
"""A limit, for without one RabbitMQ puts what is handed back at the end of the queue; one that is never reached,
for attempts are counted in the ledger."""
HELD: Final = timedelta(seconds=40)
"""How long a message may wait inside a worker before its work begins; RabbitMQ doesn't tell what workers hold."""
LOOKED_AT: Final = 32
"""How many messages at the head of a queue are looked at, at the most: those that workers gave back come first, in
any order, and few workers hold more."""
LOOK_EVERY: Final = 30.0
"""Seconds between two looks into one queue: each is written to its log."""
HEARTBEAT: Final = 10.0
"""Seconds; a worker whose connection is silently cut notices within three of them, and so does RabbitMQ."""
NO_PAUSE: Final = {"interval_start": 0.0, "interval_step": 0.0}
TLS: Final[dict[str, Any]] = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
"""The certificate is checked, and that it is for the host in the URL (which None stands for)."""
ERRORS: Final = (AMQPError, KombuError, OSError)


class AmqpBroker:
    """The Broker port over one connection, opened when first asked, opened again when lost, used in turns."""

    errors: tuple[type[Exception], ...] = (AMQPError,)
    connections = 1

    def __init__(self, app: Celery, *, look_every: float = LOOK_EVERY) -> None:
        self._app = app
        self.look_every = look_every
        self._turn = threading.Lock()
        self._turns: dict[str, float] = {}
        self._connection: Connection | None = None
        self._channel: Any = None
        self._mark: str | None = None
        self._looks: dict[str, tuple[float, datetime]] = {}
        self._dead = DeadQueue()

    def waiting(self, queue: str) -> int:
        """The number of messages that no worker has; a queue that is gone is made again."""
        return self._ask(lambda channel: int(self._declared(channel, queue).message_count))

    def turn(self, queue: str, seconds: float) -> bool:
        """RabbitMQ keeps no clock for others, so each process has turns of its own; two threads may share one."""
        free = time.monotonic() >= self._turns.get(queue, 0.0)
        if free:
            self.prolong(queue, seconds)
        return free

    def prolong(self, queue: str, seconds: float) -> None:
        """Until when it lasts."""
        self._turns[queue] = time.monotonic() + seconds

    def oldest(self, queue: str) -> datetime | None:
        """When the oldest of the messages at the head was sent, or earlier while workers may hold older ones."""

        def answer(channel: Any) -> datetime | None:
            found = self._declared(channel, queue)
            empty = self._is_empty(channel, queue, found)
            if empty:
                self._looks.pop(queue, None)
            head = None if empty else self._head(channel, queue, found.consumer_count)
            if not found.consumer_count:
                return head
            held = datetime.now(UTC) - HELD
            return held if head is None else min(head, held)

        return self._ask(answer)

    def epoch(self) -> str | None:
        """The text of the one message in a queue of its own. It is read once for each connection, then only counted."""

        def answer(channel: Any) -> str | None:
            for _ in range(20):
                found = self._declared(channel, EPOCH_QUEUE)
                if found.message_count or not found.consumer_count:
                    break
                time.sleep(0.05)  # Another process reads it at this moment.
            if self._is_empty(channel, EPOCH_QUEUE, found):
                self._mark = None
            elif self._mark is None:
                message = channel.basic_get(EPOCH_QUEUE)
                if message is not None:
                    channel.basic_reject(message.delivery_tag, requeue=True)
                    self._mark = _text(message.body)
            return self._mark

        return self._ask(answer)

    def begin_epoch(self) -> str:
        """Put a new message in the place of the old one."""
        mark = uuid.uuid4().hex

        def answer(channel: Any) -> str:
            self._declared(channel, EPOCH_QUEUE)
            channel.queue_purge(EPOCH_QUEUE)
            channel.basic_publish(Message(mark, delivery_mode=2), routing_key=EPOCH_QUEUE)
            self._mark = mark
            return mark

        return self._ask(answer)

    def put_dead(self, dead: DeadMessage) -> None:
        """Add to the queue of the dead; a full one raises NoRoom."""
        self._ask(lambda channel: self._dead.put(channel, dead))

    def take_dead(self, limit: int) -> Sequence[DeadMessage]:
        """What workers put aside, and what RabbitMQ took out of a queue because somebody refused it."""
        return self._ask(lambda channel: self._dead.take(channel, limit))

    def forget_dead(self, messages: Sequence[DeadMessage]) -> None:
        """Acknowledge them."""
        self._ask(lambda channel: self._dead.forget(channel, messages))

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    def _head(self, channel: Any, queue: str, consumers: int) -> datetime | None:
        """The earliest time of sending among the first messages, which are put back where they were.

        A message that is looked at comes back with a count of its deliveries, and so does one that a worker gave
        back; the first without such a count has all older ones before it.
        """
        looked, head = self._looks.get(queue, (0.0, None))
        if head is not None and time.monotonic() < looked + self.look_every:
            return head
        times: list[datetime] = []
        messages: list[Any] = []
        while len(messages) < LOOKED_AT and (message := channel.basic_get(queue)) is not None:
            messages.append(message)
            times.append(sent_at(message.headers))
            if not (message.headers or {}).get("x-delivery-count"):
                break
        for message in messages:
            channel.basic_reject(message.delivery_tag, requeue=True)
        if not times:
            return None
        for _ in range(20):
            # Until they are back they count as held by a consumer, which would be us.
            if self._declared(channel, queue).consumer_count <= consumers:
                break
            time.sleep(0.005)
        self._looks[queue] = (time.monotonic(), min(times))
        return min(times)

    def _is_empty(self, channel: Any, queue: str, found: Any) -> bool:
        """Whether nothing waits in the queue.

        RabbitMQ answers with nought messages and nought consumers, too, while a queue has no leader, as it is for a
        moment after a restart; to take one from it fails then, and does not say that there is none.
        """
        if found.message_count or found.consumer_count:
            return not found.message_count
        message = channel.basic_get(queue)
        if message is not None:
            channel.basic_reject(message.delivery_tag, requeue=True)
        return message is None

    def _declared(self, channel: Any, queue: str) -> Any:
        """RabbitMQ's answer on a queue: how many messages wait, how many consumers there are."""
        return channel.queue_declare(queue, passive=True)

    def _ask(self, question: Callable[[Any], T]) -> T:
        """The answer, on a new connection if the old one is dead. Raises Transient when it does not come in time."""
        if not self._turn.acquire(timeout=PATIENCE):
            raise Transient("the broker can't be asked: too many ask at once")
        try:
            began = time.monotonic()
            missing = False
            for _ in range(3):
                try:
                    return question(self._open(make=missing))
                except ERRORS as error:
                    self._drop()
                    missing = missing or isinstance(error, NotFound)
                    failed: Exception = error
                if time.monotonic() > began + PATIENCE / 2 or isinstance(failed, PreconditionFailed):
                    break
            raise Transient(f"the broker can't be asked: {_name(failed)}") from failed
        finally:
            self._turn.release()

    def _open(self, *, make: bool) -> Any:
        """The channel; `make` declares every queue, as on a new or emptied server."""
        if self._connection is None or not self._connection.connected:
            self._connection = self._app.connection_for_write()
            # Not channel(): that would try to connect twice, with a pause.
            self._channel = self._connection.default_channel
        if make:
            for queue in self._app.amqp.queues.values():
                queue(self._channel).declare()
            for name in (EPOCH_QUEUE, DEAD_QUEUE):
                self._channel.queue_declare(name, durable=True, auto_delete=False, arguments=QUORUM)
        return self._channel

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.collect()
        self._connection = self._channel = self._mark = None


def options(settings: Settings, patience: float) -> dict[str, Any]:
    """Celery's settings for this broker; `patience` bounds every wait for it, in seconds."""
    return {
        "broker_transport": "tasks.brokers.amqp_transport:BoundedTransport",
        "broker_use_ssl": TLS if str(settings.broker).startswith("amqps://") else False,
        "broker_connection_timeout": PATIENCE,
        "broker_heartbeat": HEARTBEAT,
        # A dead connection shows when a worker hands the next link on; a lost one the sweep finds a minute later.
        "task_publish_retry": True,
        "task_publish_retry_policy": {"max_retries": 1, **NO_PAUSE},
        # By default a worker's mailbox belongs to its connection alone. A worker that connects anew before RabbitMQ
        # has noticed the end of the old connection is refused then, and ends itself over it.
        "control_queue_exclusive": False,
        "control_queue_durable": True,
        # One try to connect: who publishes has a keeper behind it, and a worker counts its own tries.
        "broker_transport_options": {"confirm_publish": True, "patience": patience, "max_retries": 0, **NO_PAUSE},
    }


def work_queue(name: str) -> Queue:
    """A queue for Celery; what a worker refuses goes to the queue of the dead, and leaves this one only then."""
    return Queue(name, routing_key=name, queue_arguments={**QUORUM, **TO_THE_DEAD})


def _text(body: str | bytes) -> str:
    return body.decode() if isinstance(body, bytes) else body


def _name(error: Exception) -> str:
    # A queue that is there with other arguments is for a person to delete, so say which one it is.
    return str(error) if isinstance(error, PreconditionFailed) else type(error).__name__
