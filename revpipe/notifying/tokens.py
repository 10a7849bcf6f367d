"""Links that let one person decide on one version of one action, once. Only the hash of a token is ever kept."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from revpipe.approvals import View
from revpipe.db import sql
from revpipe.errors import Permanent

BYTES: Final = 32
AFTER: Final = timedelta(days=7)
"""How long after the approval's end its link still tells what became of it."""


class TokenUsed(Permanent):
    """The link has decided already."""

    code = "token_used"


@dataclass(frozen=True, slots=True)
class Token:
    """A link as it was given out."""

    token_hash: bytes
    action_id: uuid.UUID
    version: int
    user_id: uuid.UUID | None
    email: str
    created_at: datetime
    used_at: datetime | None
    used_for: str | None


def give(tx: Connection, view: View, user_id: uuid.UUID | None, email: str, now: datetime) -> str:
    """A new token for the present version; the caller puts it into a link and forgets it."""
    token = secrets.token_urlsafe(BYTES)
    tx.execute(
        sql(
            "INSERT INTO one_time_tokens (token_hash, approval_id, action_id, version, user_id, email, created_at,"
            " expires_at) VALUES (:hash, :approval_id, :action_id, :version, :user_id, :email, :now, :ends)"
        ),
        {
            "hash": _hash(token),
            "approval_id": view.approval_id,
            "action_id": view.action_id,
            "version": view.version,
            "user_id": user_id,
            "email": email,
            "now": now,
            "ends": view.expires_at + AFTER,
        },
    )
    return token


def find(tx: Connection, token: str, now: datetime) -> Token | None:
    """The link of this token, None if it was never given out or is past its time."""
    row = tx.execute(
        sql(
            "SELECT token_hash, action_id, version, user_id, email, created_at, used_at, used_for FROM one_time_tokens"
            " WHERE token_hash = :hash AND expires_at > :now"
        ),
        {"hash": _hash(token), "now": now},
    ).one_or_none()
    return Token(*row) if row else None


def use(tx: Connection, token: Token, what: str, now: datetime) -> None:
    """Mark it used, in the transaction of the decision. Raises TokenUsed if it was."""
    used = tx.execute(
        sql("UPDATE one_time_tokens SET used_at = :now, used_for = :what WHERE token_hash = :hash AND used_at IS NULL"),
        {"hash": token.token_hash, "what": what, "now": now},
    ).rowcount
    if not used:
        raise TokenUsed("this link was used already")


def _hash(token: str) -> bytes:
    # A token has 256 random bits, so that its plain hash can't be turned back by trying.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
