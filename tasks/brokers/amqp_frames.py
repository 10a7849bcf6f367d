"""Below Celery: AMQP messages whose header py-amqp can't read, met before a worker or the keeper dies of them.

RabbitMQ takes any bytes for a text, any number for a time and any depth of a table. py-amqp (5.x) raises at those in
the middle of a read, which ends the worker; the message goes back to its queue, and ends the next one. Here the
header of each message is looked at first, and one that can't be read is replaced by another that says so.
"""

from collections.abc import Callable
from struct import pack
from typing import Any, Final

from amqp.method_framing import frame_handler
from amqp.serialization import decode_properties_basic, dumps

UNREADABLE: Final = "revpipe_unreadable"
"""The one header of such a message: what was wrong. Its body is left as it is."""
DEEPEST: Final = 32
"""How deep a header may be nested. The headers that Celery and RabbitMQ write are 4 deep at the most."""
CONTENT_HEADER: Final = 2
"""The type of the frames that carry a message's properties (AMQP 0-9-1, 2.3.5)."""
BEFORE: Final = 12
"""How many bytes stand before the properties in such a frame: class, weight and the body's size (4.2.6.1)."""
ONLY_HEADERS: Final = 0x2000
"""The property flags of a message that has headers and nothing else (4.2.6.1)."""

Frame = tuple[int, int, Any]


def readable_frames(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], bool]:
    """py-amqp's handler of incoming frames, which now meets no message header that it can't read."""
    handle = frame_handler(connection, callback)

    def on_frame(frame: Frame) -> bool:
        kind, channel, content = frame
        flaw = _flaw(content) if kind == CONTENT_HEADER else None
        if flaw is not None:
            said = pack(">H", ONLY_HEADERS) + dumps("F", [{UNREADABLE: flaw}])
            frame = (kind, channel, bytes(content[:BEFORE]) + said)
        return bool(handle(frame))

    return on_frame


def _flaw(content: Any) -> str | None:
    """Why the properties in a frame can't be read, or None."""
    try:
        properties, _ = decode_properties_basic(content, BEFORE)
    # What it may raise depends on the bytes, and none of it is to end the process.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"[:1000]
    headers = properties.get("application_headers", {})
    if not all(isinstance(name, str) for name in headers):
        return "the name of a header is no text"
    return f"the headers are more than {DEEPEST} deep" if _is_deep(headers) else None


def _is_deep(headers: dict[str, Any]) -> bool:
    level: list[Any] = [headers]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
