"""Messages that no worker can run, and entries of a Redis list that are no message, as whoever may push could build.

Those of the first kind can travel through either broker; those of RabbitMQ alone are in odd_frames.py.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests import rabbitmq_server
from tests.broker_control import BrokerControl, RedisControl, envelope
from tests.e2e.odd_frames import odd_frames

QUEUE = "enrich.high"
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_GONE = object()


@dataclass(frozen=True)
class Odd:
    """One of them; `push` puts it into QUEUE, `body` is what its letter must hold, `reason` the letter's reason."""

    name: str
    reason: str
    body: bytes
    push: Callable[[BrokerControl], None]


def headers(**changes: Any) -> dict[str, Any]:
    """The headers of a message of task enrich."""
    made = {"id": str(uuid.uuid4()), "task": "enrich", "lang": "py", "retries": 0, "timelimit": [None, None], **changes}
    return {name: value for name, value in made.items() if value is not _GONE}


def message() -> dict[str, Any]:
    """What our tasks take, unlike any other."""
    return {"v": 1, "send": 1, "ids": [], "mark": uuid.uuid4().hex}


def body(args: Any = None, kwargs: Any = None, embed: Any = _EMBED) -> bytes:
    """Protocol 2: arguments, keyword arguments, the rest of the chain."""
    return json.dumps([[message()] if args is None else args, {} if kwargs is None else kwargs, embed]).encode()


def odd_entries() -> Iterator[Odd]:
    """One of each kind that the broker of this run can carry."""
    yield from _messages()
    if rabbitmq_server.wanted():
        for name, frame in odd_frames(QUEUE):
            yield Odd(name, "no_envelope", frame.body, frame.push)
    else:
        yield from _no_messages()


def _messages() -> Iterator[Odd]:
    yield _odd("unknown task", "unknown_task", headers(task="nobody.knows"))
    yield _odd("task of no text", "no_task", headers(task=["enrich"]))
    yield _odd("no task", "no_task", headers(task=_GONE))
    yield _odd("protocol 1", "no_task", {}, json.dumps({"task": "enrich", "id": "x", "args": [message()]}).encode())
    yield _odd("no id", "no_id", headers(id=_GONE))
    yield _odd("id of no text", "no_id", headers(id=["a"]))
    yield _odd("bad eta", "bad_eta", headers(eta="tomorrow"))
    yield _odd("eta of no text", "bad_eta", headers(eta=12))
    yield _odd("eta before all time", "bad_eta", headers(eta="0001-01-01T00:00:00+14:00"))
    yield _odd("bad expires", "bad_eta", headers(expires="never"))
    yield _odd("bad time limit", "bad_header", headers(timelimit="soon"))
    yield _odd("bad retries", "bad_header", headers(retries="many"))
    yield _odd("bad parent", "bad_header", headers(parent_id=["a"]))
    yield _odd("body that is no JSON", "undecodable", headers(), b"{not json \xff" + uuid.uuid4().bytes)
    yield _odd("compressed, it says", "undecodable", headers(compression="application/x-gzip"))
    yield _odd("compressed by an unknown way", "undecodable", headers(compression="x-none"))
    yield _odd("pickle", "content_type", headers(), content_type="application/x-python-serialize")
    yield _odd("no content type", "bad_body", headers(), content_type=None)
    yield _odd("body of two parts", "bad_body", headers(), json.dumps([[message()], {}]).encode())
    yield _odd("body that is an object", "bad_body", headers(), json.dumps({"args": [message()]}).encode())
    yield _odd("empty body", "bad_body", headers(), b"")
    yield _odd("args of no list", "bad_body", headers(), body(args={"a": message()}))
    yield _odd("kwargs of no mapping", "bad_kwargs", headers(), body(kwargs=[message()]))
    yield _odd("embed of no mapping", "bad_embed", headers(), body(embed="chain"))
    yield _odd("too many arguments", "bad_arguments", headers(), body(args=[message(), 2, 3]))
    yield _odd("unknown argument", "bad_arguments", headers(), body(kwargs={"signal": "s"}))


def _odd(name: str, reason: str, headers: dict[str, Any], carried: bytes | None = None, **properties: Any) -> Odd:
    made = body() if carried is None else carried

    def push(broker: BrokerControl) -> None:
        broker.put(QUEUE, headers=headers, body=made, **properties)

    return Odd(name, reason, made, push)


def _no_messages() -> Iterator[Odd]:
    whole = json.loads(envelope(QUEUE, headers(), body()))
    yield _raw("no JSON", "not_json", b"\x80\x02 no JSON " + uuid.uuid4().bytes)
    yield _raw("text", "not_json", b"hello " + uuid.uuid4().hex.encode())
    yield _raw("depth", "not_json", b"[" * 100_000 + uuid.uuid4().hex.encode())
    yield _raw("a number", "no_envelope", str(uuid.uuid4().int).encode())
    yield _raw("a JSON object", "no_envelope", json.dumps({"some": uuid.uuid4().hex}).encode())
    yield _raw("no properties", "no_envelope", json.dumps({**whole, "properties": None}).encode())
    yield _raw("no delivery tag", "no_envelope", json.dumps({**whole, "properties": {"delivery_info": {}}}).encode())
    yield _raw("no way", "no_envelope", json.dumps({**whole, "properties": {"delivery_tag": "t"}}).encode())
    yield _raw("headers of no mapping", "no_envelope", json.dumps({**whole, "headers": ["a"]}).encode())
    yield _raw("body of no text", "no_envelope", json.dumps({**whole, "body": 5}).encode())


def _raw(name: str, reason: str, entry: bytes) -> Odd:
    """An entry pushed byte by byte: the letter holds all of it."""

    def push(broker: BrokerControl) -> None:
        assert isinstance(broker, RedisControl)
        broker.client.lpush(QUEUE, entry)

    return Odd(name, reason, entry, push)
