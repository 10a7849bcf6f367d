"""Entries of a queue that no worker can run, built byte by byte, as whoever may push to the broker could."""

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

QUEUE = "enrich.high"
_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_GONE = object()


@dataclass(frozen=True)
class Odd:
    """One entry; `body` is what its letter must hold, `reason` the letter's reason."""

    name: str
    reason: str
    entry: bytes
    body: bytes


def envelope(body: Any, headers: dict[str, Any], *, raw: bytes | None = None, **rest: Any) -> tuple[bytes, bytes]:
    """The entry as kombu writes it, and the body inside. `rest` goes over the envelope's own fields."""
    carried = json.dumps(body).encode() if raw is None else raw
    entry = {
        "body": base64.b64encode(carried).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {name: value for name, value in headers.items() if value is not _GONE},
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "body_encoding": "base64",
        },
    }
    return json.dumps({**entry, **rest}).encode(), carried


def headers(**changes: Any) -> dict[str, Any]:
    """The headers of a message of task enrich."""
    return {"id": str(uuid.uuid4()), "task": "enrich", "lang": "py", "retries": 0, "timelimit": [None, None], **changes}


def message() -> dict[str, Any]:
    """What our tasks take, unlike any other."""
    return {"v": 1, "send": 1, "ids": [], "mark": uuid.uuid4().hex}


def body(args: Any = None, kwargs: Any = None, embed: Any = _EMBED) -> list[Any]:
    """Protocol 2: arguments, keyword arguments, the rest of the chain."""
    return [[message()] if args is None else args, {} if kwargs is None else kwargs, embed]


def odd_entries() -> Iterator[Odd]:
    """One of each kind."""
    for name, reason, (entry, carried) in _messages():
        yield Odd(name, reason, entry, carried)
    for name, reason, entry in _no_messages():
        yield Odd(name, reason, entry, entry)


def _messages() -> Iterator[tuple[str, str, tuple[bytes, bytes]]]:
    yield "unknown task", "unknown_task", envelope(body(), headers(task="nobody.knows"))
    yield "task of no text", "no_task", envelope(body(), headers(task=["enrich"]))
    yield "no task", "no_task", envelope(body(), headers(task=_GONE))
    yield "protocol 1", "no_task", envelope({"task": "enrich", "id": "x", "args": [message()]}, {})
    yield "no id", "no_id", envelope(body(), headers(id=_GONE))
    yield "id of no text", "no_id", envelope(body(), headers(id=["a"]))
    yield "bad eta", "bad_eta", envelope(body(), headers(eta="tomorrow"))
    yield "eta of no text", "bad_eta", envelope(body(), headers(eta=12))
    yield "eta before all time", "bad_eta", envelope(body(), headers(eta="0001-01-01T00:00:00+14:00"))
    yield "bad expires", "bad_eta", envelope(body(), headers(expires="never"))
    yield "bad time limit", "bad_header", envelope(body(), headers(timelimit="soon"))
    yield "bad retries", "bad_header", envelope(body(), headers(retries="many"))
    yield "bad parent", "bad_header", envelope(body(), headers(parent_id=["a"]))
    yield "body that is no JSON", "undecodable", envelope(None, headers(), raw=b"{not json \xff" + uuid.uuid4().bytes)
    yield "compressed, it says", "undecodable", envelope(body(), headers(compression="application/x-gzip"))
    yield "compressed by an unknown way", "undecodable", envelope(body(), headers(compression="x-none"))
    yield "pickle", "content_type", envelope(body(), headers(), **{"content-type": "application/x-python-serialize"})
    yield "no content type", "bad_body", envelope(body(), headers(), **{"content-type": None})
    yield "body of two parts", "bad_body", envelope(body()[:2], headers())
    yield "body that is an object", "bad_body", envelope({"args": [message()]}, headers())
    yield "empty body", "bad_body", envelope(None, headers(), raw=b"")
    yield "args of no list", "bad_body", envelope(body(args={"a": message()}), headers())
    yield "kwargs of no mapping", "bad_kwargs", envelope(body(kwargs=[message()]), headers())
    yield "embed of no mapping", "bad_embed", envelope(body(embed="chain"), headers())
    yield "too many arguments", "bad_arguments", envelope(body(args=[message(), 2, 3]), headers())
    yield "unknown argument", "bad_arguments", envelope(body(kwargs={"signal": "s"}), headers())


def _no_messages() -> Iterator[tuple[str, str, bytes]]:
    whole = json.loads(envelope(body(), headers())[0])
    yield "no JSON", "not_json", b"\x80\x02 no JSON " + uuid.uuid4().bytes
    yield "text", "not_json", b"hello " + uuid.uuid4().hex.encode()
    yield "depth", "not_json", b"[" * 100_000 + uuid.uuid4().hex.encode()
    yield "a number", "no_envelope", str(uuid.uuid4().int).encode()
    yield "a JSON object", "no_envelope", json.dumps({"some": uuid.uuid4().hex}).encode()
    yield "no properties", "no_envelope", json.dumps({**whole, "properties": None}).encode()
    yield "no delivery tag", "no_envelope", json.dumps({**whole, "properties": {"delivery_info": {}}}).encode()
    yield "no way", "no_envelope", json.dumps({**whole, "properties": {"delivery_tag": "t"}}).encode()
    yield "headers of no mapping", "no_envelope", json.dumps({**whole, "headers": ["a"]}).encode()
    yield "body of no text", "no_envelope", json.dumps({**whole, "body": 5}).encode()
