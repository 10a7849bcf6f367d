"""The dead queues: where a message that can't be run waits for its way into the ledger.

Each queue has one of its own, `dead.<queue>`, a list that only the keeper reads. What no queue was bound for is put
aside by the transport itself, in `undeliverable`.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

import redis

from config.queues import QUEUES
from revpipe.ports import DeadMessage

PREFIX: Final = "dead."
UNDELIVERABLE: Final = "undeliverable"
"""The list named to the transport as `deadletter_queue`; what is in it has the form of any message."""
CAPACITY: Final = 1_000
"""How many messages a dead queue holds: a flood of bad ones must not fill a broker that evicts nothing."""
BIGGEST: Final = 65_536
"""How many bytes one of them may have; ours have a few thousand."""


class NoRoom(Exception):
    """The dead queue is full, or the message is too big for it: it has to go to the ledger at once."""


class DeadQueues:
    """The dead queues of one Redis-protocol broker. All methods raise redis.RedisError when it does not answer."""

    def __init__(self, broker: redis.Redis) -> None:
        self._broker = broker

    def put(self, dead: DeadMessage) -> None:
        """Add a message. Raises NoRoom."""
        entry = encode(dead)
        name = PREFIX + (dead.queue if dead.queue in QUEUES else UNDELIVERABLE)
        if len(entry) > BIGGEST:
            raise NoRoom(f"{len(entry)} bytes are too many for {name}")
        # Several workers may pass this at once; a few entries more than the capacity do no harm.
        if self._broker.llen(name) >= CAPACITY:
            raise NoRoom(f"{name} is full")
        self._broker.lpush(name, entry)

    def take(self, limit: int) -> list[DeadMessage]:
        """At most `limit` messages, the oldest of each queue first. They stay until forgotten."""
        taken: list[DeadMessage] = []
        for name in self._filled():
            if len(taken) >= limit:
                break
            # Read undecoded: whatever somebody pushed here by hand must come out too.
            entries = self._broker.execute_command("LRANGE", name, len(taken) - limit, -1, NEVER_DECODE=True)
            taken += [read(name, entry) for entry in reversed(cast(list[bytes], entries))]
        return taken

    def forget(self, messages: Sequence[DeadMessage]) -> None:
        """Remove messages that were taken."""
        with self._broker.pipeline(transaction=False) as pipe:
            for dead in messages:
                name, entry = dead.receipt
                pipe.lrem(name, -1, entry)
            pipe.execute()

    def _filled(self) -> Iterator[str]:
        names = [UNDELIVERABLE, PREFIX + UNDELIVERABLE, *(PREFIX + queue for queue in QUEUES)]
        with self._broker.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
            lengths = pipe.execute()
        return (name for name, length in zip(names, lengths, strict=True) if length)


def key_of(headers: Mapping[str, Any], body: bytes) -> str:
    """The letter key of a message: the same when it is delivered again, another one for any other message."""
    task_id = headers.get("id")
    shown = task_id[:100] if isinstance(task_id, str) else "-"
    # A broker adds to the headers when it delivers again.
    own = {name: value for name, value in headers.items() if name != "redelivered" and not name.startswith("x-")}
    digest = hashlib.sha256(json.dumps(_plain(own), sort_keys=True).encode() + b"\0" + body)
    return f"message:{shown}:{digest.hexdigest()[:32]}"


def encode(dead: DeadMessage) -> bytes:
    """The form in the list: one JSON object, in ASCII whatever the message held."""
    return json.dumps(
        {
            "key": dead.key,
            "queue": dead.queue,
            "reason": dead.reason,
            "error": dead.error[:4000],
            "traceback": dead.traceback and dead.traceback[-8000:],
            "worker": dead.worker,
            "attempts": dead.attempts,
            "parked_at": dead.parked_at.isoformat(),
            "headers": _plain(dead.headers),
            "properties": _plain(dead.properties),
            "body": base64.b64encode(dead.body).decode("ascii"),
        }
    ).encode("ascii")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(json.dumps(dict(values), default=str))
    except (ValueError, TypeError, RecursionError) as error:
        return {"not kept": f"{type(error).__name__}: {error}"[:200]}
    return read


def read(name: str, entry: bytes) -> DeadMessage:
    """What `encode` wrote, or a letter on whatever else lies in the list `name`."""
    try:
        value = json.loads(entry)
        return _undeliverable(entry, value) if name == UNDELIVERABLE else _parked(name, entry, value)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # Nothing of ours looks so; it is kept all the same.
        return DeadMessage(
            key=key_of({}, entry),
            queue=name,
            reason="not_json",
            error=f"{type(error).__name__}: {error}"[:4000],
            body=entry,
            parked_at=datetime.now(UTC),
            receipt=(name, entry),
        )


def _parked(name: str, entry: bytes, value: Mapping[str, Any]) -> DeadMessage:
    return DeadMessage(
        key=str(value["key"]),
        queue=str(value["queue"]),
        reason=str(value["reason"]),
        error=str(value["error"]),
        traceback=str(value["traceback"]) if value["traceback"] else None,
        worker=str(value["worker"]) if value["worker"] else None,
        attempts=int(value["attempts"]),
        parked_at=datetime.fromisoformat(value["parked_at"]).astimezone(UTC),
        headers=dict(value["headers"]),
        properties=dict(value["properties"]),
        body=base64.b64decode(value["body"]),
        receipt=(name, entry),
    )


def _undeliverable(entry: bytes, value: Mapping[str, Any]) -> DeadMessage:
    """A message in the transport's own form (kombu, virtual transports): the body is base64 inside it."""
    properties, headers = dict(value["properties"]), dict(value["headers"] or {})
    wanted = properties["delivery_info"]
    body = str(value["body"]).encode()
    if properties.get("body_encoding") == "base64":
        body = base64.b64decode(body)
    where = str(wanted["routing_key"])
    return DeadMessage(
        key=key_of(headers, body),
        queue=where or UNDELIVERABLE,
        reason="undeliverable",
        error=f"no queue is bound to exchange {str(wanted['exchange'])!r} with the key {where!r}",
        body=body,
        parked_at=datetime.now(UTC),
        headers=headers,
        properties=properties,
        receipt=(UNDELIVERABLE, entry),
    )
