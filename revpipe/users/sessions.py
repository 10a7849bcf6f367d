"""Sessions live in the ledger: what is signed out there is out at once, whatever a browser still holds."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.ids import uuid7
from revpipe.users import account, secret
from revpipe.users.account import User

LASTS: Final = timedelta(days=7)
"""However busy it is."""
IDLE: Final = timedelta(hours=12)
"""Without a request: a working day's end signs out."""
COARSE: Final = timedelta(minutes=1)
"""How exactly the last request is noted: a page that looks every two seconds shall not write each time."""
FRESH: Final = timedelta(hours=1)
DEVICE: Final = 120
"""Characters kept of what a browser calls itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in that holds; `seen_at` is right to COARSE."""

    session_id: uuid.UUID
    user: User
    seen_at: datetime


def begin(tx: Connection, now: datetime, user_id: uuid.UUID, way: str, device: str) -> str:
    """Sign a user in; returns the secret for their cookie, always a new one."""
    made = secret.fresh()
    tx.execute(
        sql(
            "INSERT INTO sessions (session_id, session_hash, user_id, way, device, created_at, seen_at, expires_at)"
            " VALUES (:session_id, :session_hash, :user_id, :way, :device, :now, :now, :expires_at)"
        ),
        {
            "session_id": uuid7(),
            "session_hash": secret.digest(made),
            "user_id": user_id,
            "way": way,
            "device": "".join(one for one in device if one.isprintable())[:DEVICE],
            "now": now,
            "expires_at": now + LASTS,
        },
    )
    return made


def find(tx: Connection, now: datetime, shown: str) -> Session | None:
    """The session of a cookie, if it still holds and its user is active."""
    row = (
        tx.execute(
            sql(
                f"SELECT {account.COLUMNS}, s.session_id, s.seen_at FROM sessions AS s JOIN users AS u USING (user_id)"  # noqa: S608
                " WHERE s.session_hash = :hash AND s.expires_at > :now AND s.seen_at > :idle AND u.active"
            ),
            {"hash": secret.digest(shown), "now": now, "idle": now - IDLE},
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else Session(row["session_id"], account.of_row(row), row["seen_at"])


def saw(tx: Connection, now: datetime, session: Session) -> None:
    """Note a request of it."""
    tx.execute(
        sql("UPDATE sessions SET seen_at = :now WHERE session_id = :session_id AND seen_at < :now"),
        {"now": now, "session_id": session.session_id},
    )


def end(tx: Connection, shown: str) -> None:
    """Sign out the session of a cookie, if there is one."""
    tx.execute(sql("DELETE FROM sessions WHERE session_hash = :hash"), {"hash": secret.digest(shown)})


def end_one(tx: Connection, user_id: uuid.UUID, session_id: uuid.UUID) -> bool:
    """Sign out one session of a user; False if they have none of that id."""
    done = tx.execute(
        sql("DELETE FROM sessions WHERE session_id = :session_id AND user_id = :user_id"),
        {"session_id": session_id, "user_id": user_id},
    )
    return done.rowcount == 1


def end_all(tx: Connection, user_id: uuid.UUID, but: uuid.UUID | None = None) -> int:
    """Sign a user out everywhere, or everywhere but in one session; returns how many ended."""
    return tx.execute(
        sql(
            "DELETE FROM sessions WHERE session_id IN (SELECT session_id FROM sessions WHERE user_id = :user_id"
            " AND session_id IS DISTINCT FROM CAST(:but AS uuid) ORDER BY session_id FOR UPDATE)"
        ),
        {"user_id": user_id, "but": but},
    ).rowcount


def listing(tx: Connection, now: datetime, user_id: uuid.UUID) -> list[Mapping[str, Any]]:
    """Where a user is signed in, the latest sign-in in front."""
    rows = tx.execute(
        sql(
            "SELECT session_id, way, device, created_at, seen_at, expires_at FROM sessions WHERE user_id = :user_id"
            " AND expires_at > :now AND seen_at > :idle ORDER BY created_at DESC, session_id"
        ),
        {"user_id": user_id, "now": now, "idle": now - IDLE},
    )
    return [dict(row) for row in rows.mappings()]


def fresh_from_link(tx: Connection, now: datetime, session_id: uuid.UUID) -> bool:
    """Whether its user has just signed in by a link, which they get when they have forgotten their password."""
    fresh = sql("SELECT 1 FROM sessions WHERE session_id = :session_id AND way = 'link' AND created_at > :after")
    return tx.execute(fresh, {"session_id": session_id, "after": now - FRESH}).first() is not None
