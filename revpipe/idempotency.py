"""Requests that may be sent again: the first one is carried out, the others get its answer."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from revpipe.db import sql
from revpipe.errors import Permanent, Transient
from revpipe.ids import uuid7

KEPT: Final = timedelta(hours=24)
"""For how long an answer is kept."""
BUSY: Final = timedelta(seconds=60)
"""How long a request may take before it is taken for dead: then the same request may try anew.

What it does is guarded by states of its own, so that even two at once have no effect twice.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request by its sender, the key that they chose, and a hash of all that it asks for."""

    sender: str
    key: str
    fingerprint: str
    claim_id: uuid.UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class KeyReused(Permanent):
    """The key came before with another request."""

    code = "key_reused"


class KeyBusy(Transient):
    """The same request is under way just now."""

    code = "key_busy"


def begin(tx: Connection, request: Request, now: datetime) -> Answer | None:
    """The answer that was given already; None if this one is to be carried out. Raises KeyReused, KeyBusy."""
    values = {
        "sender": request.sender,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "claim_id": request.claim_id,
        "busy_until": now + BUSY,
        "expires_at": now + KEPT,
        "now": now,
    }
    mine = tx.execute(
        sql(
            "INSERT INTO idempotency_keys AS k (sender, key, fingerprint, claim_id, busy_until, expires_at)"
            " VALUES (:sender, :key, :fingerprint, :claim_id, :busy_until, :expires_at)"
            " ON CONFLICT (sender, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
            " claim_id = excluded.claim_id, busy_until = excluded.busy_until, expires_at = excluded.expires_at,"
            " status = NULL, headers = NULL, body = NULL WHERE k.expires_at <= :now"
            " OR (k.status IS NULL AND k.busy_until <= :now AND k.fingerprint = excluded.fingerprint)"
        ),
        values,
    ).rowcount
    return None if mine else _earlier(tx, request)


def keep(tx: Connection, request: Request, answer: Answer) -> None:
    """Store the answer for those who ask again; not if somebody else took the request over meanwhile."""
    tx.execute(
        text(
            "UPDATE idempotency_keys SET status = :status, headers = :headers, body = :body"
            " WHERE sender = :sender AND key = :key AND claim_id = :claim_id"
        ).bindparams(bindparam("headers", type_=JSONB)),
        {**_named(request), "status": answer.status, "headers": dict(answer.headers), "body": answer.body},
    )


def let_go(tx: Connection, request: Request) -> None:
    """Forget a request that came to nothing, so that it can be tried again at once."""
    tx.execute(
        sql("DELETE FROM idempotency_keys WHERE sender = :sender AND key = :key AND claim_id = :claim_id"),
        _named(request),
    )


def forget(tx: Connection, now: datetime) -> int:
    """Delete what is past its time; returns how many."""
    return tx.execute(sql("DELETE FROM idempotency_keys WHERE expires_at <= :now"), {"now": now}).rowcount


def _earlier(tx: Connection, request: Request) -> Answer | None:
    row = tx.execute(
        sql("SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE sender = :sender AND key = :key"),
        {"sender": request.sender, "key": request.key},
    ).first()
    if row is not None and row.fingerprint != request.fingerprint:
        raise KeyReused("this Idempotency-Key came with another request before; use a new one for each request")
    if row is None or row.status is None:
        raise KeyBusy("the same request is under way; send it again in a moment to get its answer")
    return Answer(row.status, row.headers, bytes(row.body))


def _named(request: Request) -> dict[str, object]:
    return {"sender": request.sender, "key": request.key, "claim_id": request.claim_id}
