"""API tokens: shown once when made, kept as a hash, bounded by scopes, time and what their user may."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from revpipe.db import sql
from revpipe.ids import uuid7
from revpipe.users import account, secret
from revpipe.users.account import User
from revpipe.users.errors import BadUser, NoUser
from revpipe.users.permissions import SCOPES

MARK: Final = "rvp_"
"""How every token begins, so that a scan of repositories finds one that leaked."""
SHOWN: Final = len(MARK) + 6
LASTS: Final = timedelta(days=90)
LONGEST: Final = timedelta(days=366)
MOST: Final = 50
"""Tokens of one user that hold."""
NAME: Final = 100
COARSE: Final = timedelta(hours=1)
"""How exactly the last use is noted."""


def make(
    tx: Connection, now: datetime, user_id: uuid.UUID, name: str, scopes: Sequence[str], lasts: timedelta = LASTS
) -> tuple[uuid.UUID, str]:
    """A new token of a user: its id, and the token itself, which nobody can show again. Raises BadUser."""
    _check(tx, now, user_id, name, scopes, lasts)
    token_id, made = uuid7(), secret.fresh(MARK)
    tx.execute(
        sql(
            "INSERT INTO api_tokens (token_id, token_hash, user_id, name, prefix, scopes, created_at, expires_at)"
            " VALUES (:token_id, :token_hash, :user_id, :name, :prefix, :scopes, :now, :expires_at)"
        ).bindparams(bindparam("scopes", type_=JSONB)),
        {
            "token_id": token_id,
            "token_hash": secret.digest(made),
            "user_id": user_id,
            "name": name,
            "prefix": made[:SHOWN],
            "scopes": sorted(set(scopes)),
            "now": now,
            "expires_at": now + lasts,
        },
    )
    return token_id, made


def find(tx: Connection, now: datetime, shown: str) -> tuple[User, tuple[str, ...]] | None:
    """Whose token it is and its scopes, if it holds and its user is active. Notes the use, coarsely."""
    row = (
        tx.execute(
            sql(
                f"SELECT {account.COLUMNS}, t.token_id, t.scopes, t.used_at"  # noqa: S608
                " FROM api_tokens AS t JOIN users AS u USING (user_id)"
                " WHERE t.token_hash = :hash AND t.expires_at > :now AND t.revoked_at IS NULL AND u.active"
            ),
            {"hash": secret.digest(shown), "now": now},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    if row["used_at"] is None or row["used_at"] < now - COARSE:
        tx.execute(
            sql("UPDATE api_tokens SET used_at = :now WHERE token_id = :token_id"),
            {"now": now, "token_id": row["token_id"]},
        )
    return account.of_row(row), tuple(row["scopes"])


def listing(tx: Connection, user_id: uuid.UUID | None = None) -> list[Mapping[str, Any]]:
    """Tokens of one user or of all, without what could be used, the newest in front."""
    rows = tx.execute(
        sql(
            "SELECT t.token_id, u.email, t.name, t.prefix, t.scopes, t.created_at, t.expires_at, t.used_at,"
            " t.revoked_at FROM api_tokens AS t JOIN users AS u USING (user_id)"
            " WHERE CAST(:user_id AS uuid) IS NULL OR t.user_id = :user_id ORDER BY t.created_at DESC, t.token_id"
        ),
        {"user_id": user_id},
    )
    return [dict(row) for row in rows.mappings()]


def revoke(tx: Connection, now: datetime, token_id: uuid.UUID, user_id: uuid.UUID | None = None) -> None:
    """End a token for good; with `user_id` only one of that user. Raises NoUser if there is none."""
    done = tx.execute(
        sql(
            "UPDATE api_tokens SET revoked_at = coalesce(revoked_at, :now) WHERE token_id = :token_id"
            " AND (CAST(:user_id AS uuid) IS NULL OR user_id = :user_id)"
        ),
        {"now": now, "token_id": token_id, "user_id": user_id},
    )
    if not done.rowcount:
        raise NoUser(f"no token has the id {token_id}")


def revoke_all(tx: Connection, now: datetime, user_id: uuid.UUID) -> int:
    """End all tokens of a user for good; returns how many."""
    return tx.execute(
        sql(
            "UPDATE api_tokens SET revoked_at = :now WHERE token_id IN (SELECT token_id FROM api_tokens"
            " WHERE user_id = :user_id AND revoked_at IS NULL ORDER BY token_id FOR UPDATE)"
        ),
        {"now": now, "user_id": user_id},
    ).rowcount


def _check(
    tx: Connection, now: datetime, user_id: uuid.UUID, name: str, scopes: Sequence[str], lasts: timedelta
) -> None:
    if not (0 < len(name) <= NAME and name.isprintable() and name.strip() == name):
        raise BadUser(f"name: 1 to {NAME} characters without line breaks or spaces at its ends")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise BadUser(f"scopes: {', '.join(unknown) or 'none'} is no scope; there are: {', '.join(SCOPES)}")
    if not timedelta() < lasts <= LONGEST:
        raise BadUser(f"a token holds for 1 to {LONGEST.days} days")
    held = sql("SELECT count(*) FROM api_tokens WHERE user_id = :user_id AND revoked_at IS NULL AND expires_at > :now")
    if tx.execute(held, {"user_id": user_id, "now": now}).scalar_one() >= MOST:
        raise BadUser(f"a user has at most {MOST} tokens; revoke one first")
