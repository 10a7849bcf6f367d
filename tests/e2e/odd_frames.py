"""AMQP messages whose properties no client library can read, though RabbitMQ takes them: built byte by byte."""

import uuid
from collections.abc import Iterator
from struct import pack

from amqp.basic_message import Message

from tests.broker_control import BrokerControl, RabbitControl


class OddFrame(Message):  # type: ignore[misc]
    """A message with the given bytes for its property flags and properties."""

    def __init__(self, queue: str, properties: bytes) -> None:
        super().__init__(b"odd " + uuid.uuid4().hex.encode())
        self._queue = queue
        self._raw = properties

    def push(self, broker: BrokerControl) -> None:
        """Put it into its queue."""
        assert isinstance(broker, RabbitControl)
        broker.publish(self._queue, self)

    def _serialize_properties(self) -> bytes:
        return self._raw


def odd_frames(queue: str) -> Iterator[tuple[str, OddFrame]]:
    """One of each kind, with its name."""
    yield "content type of no text", OddFrame(queue, pack(">HB", 0x8000, 2) + b"\xff\xfe")
    yield "id of no text in its properties", OddFrame(queue, pack(">HB", 0x0080, 2) + b"\xff\xfe")
    yield "time after all time", OddFrame(queue, _headers(_field(b"eta", b"T" + pack(">Q", 2**63))))
    yield "header name of no text", OddFrame(queue, _headers(_field(b"\xff", b"V")))
    yield "header of some depth", OddFrame(queue, _headers(_field(b"task", _nested(400))))
    yield "header of great depth", OddFrame(queue, _headers(_field(b"task", _nested(20_000))))


def _headers(field: bytes) -> bytes:
    return pack(">HI", 0x2000, len(field)) + field


def _field(name: bytes, value: bytes) -> bytes:
    return pack(">B", len(name)) + name + value


def _nested(depth: int) -> bytes:
    """An array in an array in an array, as a value of a table."""
    return b"".join(b"A" + pack(">I", 5 * inner) for inner in range(depth - 1, -1, -1))
