"""Everything that the broker holds, as one text."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import redis

from tests.broker_control import RabbitControl

_BODY = re.compile(rb'\\?"body\\?": ?\\?"([A-Za-z0-9+/=]+)')


def all_text(url: str) -> str:
    """Names and values of all keys or queues, the bodies of messages decoded."""
    if url.startswith("amqp"):
        return RabbitControl(url).text()
    with redis.Redis.from_url(url) as broker:
        raw = b"\n".join(piece for key in broker.scan_iter(count=500) for piece in (key, *_values(broker, key)))
    bodies = b"\n".join(base64.b64decode(found[1]) for found in _BODY.finditer(raw))
    return (raw + b"\n" + bodies).decode("utf-8", "replace")


def _values(broker: Any, key: bytes) -> Iterator[bytes]:
    """The values under one key; none if it went away meanwhile. Raises KeyError for a type not met before."""
    kind = broker.type(key)
    readers: dict[bytes, Callable[[], Iterable[bytes]]] = {
        b"string": lambda: [broker.get(key) or b""],
        b"list": lambda: broker.lrange(key, 0, -1),
        b"set": lambda: broker.smembers(key),
        b"zset": lambda: broker.zrange(key, 0, -1),
        b"hash": lambda: [piece for pair in broker.hgetall(key).items() for piece in pair],
        b"none": lambda: [],
    }
    yield from readers[kind]()
