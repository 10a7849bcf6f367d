"""The queue of the dead on RabbitMQ: what our workers put aside, and what the broker itself dead-lettered."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from amqp.basic_message import Message

from revpipe.ports import DeadMessage
from tasks.dead_queue import BIGGEST, CAPACITY, NoRoom, encode, key_of, read

DEAD_QUEUE: Final = "dead"
TO_THE_DEAD: Final = {
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
"""What makes a work queue hand over what is refused; `reject-publish` since the strategy asks for it (RabbitMQ's
documentation of quorum queues, dead lettering)."""
OURS: Final = "revpipe_dead"
"""The header of a message that a worker of ours put aside: its body is the letter."""


class DeadQueue:
    """Keeps what was taken unacknowledged on its channel, so that it comes again unless it is forgotten."""

    def __init__(self) -> None:
        self._channel: Any = None
        self._taken: set[int] = set()

    def put(self, channel: Any, dead: DeadMessage) -> None:
        """Add a message, and wait for the broker's word that it has it. Raises NoRoom."""
        entry = encode(dead)
        if len(entry) > BIGGEST:
            raise NoRoom(f"{len(entry)} bytes are too many for {DEAD_QUEUE}")
        if channel.queue_declare(DEAD_QUEUE, passive=True).message_count >= CAPACITY:
            raise NoRoom(f"{DEAD_QUEUE} is full")
        message = Message(entry, delivery_mode=2, application_headers={OURS: 1})
        channel.basic_publish(message, routing_key=DEAD_QUEUE)

    def take(self, channel: Any, limit: int) -> list[DeadMessage]:
        """At most `limit` messages, the oldest first; those taken before and not forgotten are given back."""
        if channel is self._channel:
            for tag in sorted(self._taken):
                channel.basic_reject(tag, requeue=True)
        self._channel, self._taken = channel, set()
        taken: list[DeadMessage] = []
        while len(taken) < limit and (message := channel.basic_get(DEAD_QUEUE)) is not None:
            self._taken.add(message.delivery_tag)
            taken.append(_letter(message, (channel, message.delivery_tag)))
        return taken

    def forget(self, channel: Any, messages: Sequence[DeadMessage]) -> None:
        """Acknowledge messages; what came over a connection that is lost is left, and comes again."""
        for dead in messages:
            on, tag = dead.receipt
            if on is channel and tag in self._taken:
                channel.basic_ack(tag)
                self._taken.discard(tag)


def _letter(message: Any, receipt: Any) -> DeadMessage:
    body = message.body.encode("utf-8", "surrogatepass") if isinstance(message.body, str) else bytes(message.body)
    headers = dict(message.headers or {})
    if OURS in headers:
        return replace(read(DEAD_QUEUE, body), receipt=receipt)
    why = str(headers.get("x-first-death-reason") or "unknown")
    queue = str(headers.get("x-first-death-queue") or DEAD_QUEUE)
    return DeadMessage(
        key=key_of(headers, body),
        queue=queue,
        reason="dead_lettered",
        error=f"RabbitMQ dead-lettered it from {queue}: {why}",
        body=body,
        parked_at=datetime.now(UTC),
        headers=headers,
        properties={
            name: value for name, value in message.properties.items() if name not in ("application_headers", "headers")
        },
        receipt=receipt,
    )
