"""Links that sign a person in once: for the first admin, and for whoever has no password yet or forgot it."""

import uuid
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.ids import uuid7
from revpipe.users import account, secret
from revpipe.users.account import User

LASTS: Final = timedelta(hours=24)
PATH: Final = "/console/sign-in/link/"
"""Where the web process takes them."""


def make(tx: Connection, now: datetime, user_id: uuid.UUID, made_by: str, lasts: timedelta = LASTS) -> str:
    """A new link's token, to be put behind PATH. Earlier ones of the same user no longer hold."""
    made = secret.fresh()
    tx.execute(sql("DELETE FROM sign_in_links WHERE user_id = :user_id"), {"user_id": user_id})
    tx.execute(
        sql(
            "INSERT INTO sign_in_links (link_id, link_hash, user_id, made_by, created_at, expires_at)"
            " VALUES (:link_id, :link_hash, :user_id, :made_by, :now, :expires_at)"
        ),
        {
            "link_id": uuid7(),
            "link_hash": secret.digest(made),
            "user_id": user_id,
            "made_by": made_by,
            "now": now,
            "expires_at": now + lasts,
        },
    )
    return made


def look(tx: Connection, now: datetime, shown: str) -> User | None:
    """Whom a link would sign in, None if it no longer holds. Uses nothing up."""
    row = (
        tx.execute(
            sql(
                f"SELECT {account.COLUMNS} FROM sign_in_links AS l JOIN users AS u USING (user_id)"  # noqa: S608
                " WHERE l.link_hash = :hash AND l.used_at IS NULL AND l.expires_at > :now AND u.active"
            ),
            {"hash": secret.digest(shown), "now": now},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else account.of_row(row)


def use(tx: Connection, now: datetime, shown: str) -> User | None:
    """Use a link up; of several at once only one gets the user."""
    user = look(tx, now, shown)
    if user is None:
        return None
    won = tx.execute(
        sql("UPDATE sign_in_links SET used_at = :now WHERE link_hash = :hash AND used_at IS NULL"),
        {"hash": secret.digest(shown), "now": now},
    ).rowcount
    return user if won else None
