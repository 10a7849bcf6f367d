"""Users are added, changed and disabled. Everything is recorded as done by somebody."""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.ids import uuid7
from revpipe.users import account, sessions, tokens
from revpipe.users.account import User
from revpipe.users.errors import BadUser, NoUser
from revpipe.users.permissions import ROLES

_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f<>()\[\],;:\\\"]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,188}[a-z0-9])?")
LONGEST: Final = 200
"""Characters of a name or an owner id."""
CHANGEABLE: Final = ("name", "role", "owner_id", "stand_in", "active")


def add(
    tx: Connection,
    now: datetime,
    email: str,
    role: str,
    *,
    name: str | None = None,
    owner_id: str | None = None,
    stand_in: uuid.UUID | None = None,
) -> User:
    """A new user. Raises BadUser for what can't be, an e-mail or owner id that is taken included."""
    address = _address(email)
    values = {"name": name or address.split("@")[0], "role": role, "owner_id": owner_id, "stand_in": stand_in}
    user_id = uuid7()
    _check(tx, user_id, {**values, "active": True})
    _check_stand_in(tx, user_id, stand_in)
    made = tx.execute(
        sql(
            "INSERT INTO users (user_id, email, name, role, owner_id, stand_in, active, created_at, changed_at)"
            " VALUES (:user_id, :email, :name, :role, :owner_id, :stand_in, true, :now, :now)"
            " ON CONFLICT DO NOTHING RETURNING user_id"
        ),
        {"user_id": user_id, "email": address, "now": now, **values},
    ).scalar_one_or_none()
    if made is None:
        raise BadUser(f"{address} is a user already; change them with: revpipe users set {address}")
    return found(tx, user_id)


def change(tx: Connection, now: datetime, user_id: uuid.UUID, changes: Mapping[str, Any]) -> User:
    """Change some of CHANGEABLE. Who is no longer active is signed out everywhere, and their tokens are revoked.

    Raises NoUser, and BadUser for what can't be: the last admin is neither disabled nor made anything else.
    """
    user = _held(tx, user_id)
    values = {name: changes.get(name, getattr(user, name)) for name in CHANGEABLE}
    _check(tx, user_id, values)
    if "stand_in" in changes:
        _check_stand_in(tx, user_id, values["stand_in"])
    _keep_an_admin(tx, user, values)
    tx.execute(
        sql(
            "UPDATE users SET name = :name, role = :role, owner_id = :owner_id, stand_in = :stand_in,"
            " active = :active, changed_at = :now WHERE user_id = :user_id"
        ),
        {"user_id": user_id, "now": now, **values},
    )
    if not values["active"] or not user.active:
        # Nothing of before comes back with a user who does.
        sessions.end_all(tx, user_id)
        tokens.revoke_all(tx, now, user_id)
        tx.execute(sql("DELETE FROM sign_in_links WHERE user_id = :user_id"), {"user_id": user_id})
    return found(tx, user_id)


def found(tx: Connection, user_id: uuid.UUID) -> User:
    """The user of that id. Raises NoUser."""
    user = account.by_id(tx, user_id)
    if user is None:
        raise NoUser(f"no user has the id {user_id}")
    return user


def named(tx: Connection, email: str) -> User:
    """The user of that address. Raises NoUser."""
    user = account.by_email(tx, email)
    if user is None:
        raise NoUser(f"no user has the address {email}; see: revpipe users list")
    return user


def listing(tx: Connection) -> list[User]:
    """All users by address, those who were disabled behind the others."""
    rows = tx.execute(sql(f"SELECT {account.COLUMNS} FROM users AS u ORDER BY u.active DESC, u.email"))  # noqa: S608
    return [account.of_row(row) for row in rows.mappings()]


def _held(tx: Connection, user_id: uuid.UUID) -> User:
    """The user, whom nobody else changes until this transaction ends, and neither any admin."""
    tx.execute(
        sql(
            "SELECT 1 FROM users WHERE user_id = :user_id OR (role = 'admin' AND active)"
            " ORDER BY user_id FOR NO KEY UPDATE"
        ),
        {"user_id": user_id},
    )
    return found(tx, user_id)


def _address(email: str) -> str:
    address = email.strip().lower()
    if not _EMAIL.fullmatch(address):
        raise BadUser(f"{email!r} is no e-mail address")
    return address


def _check(tx: Connection, user_id: uuid.UUID, values: Mapping[str, Any]) -> None:
    if values["role"] not in ROLES:
        raise BadUser(f"{values['role']!r} is no role; there are: {', '.join(ROLES)}")
    for field in ("name", "owner_id"):
        value = values[field]
        if value is not None and not (0 < len(value) <= LONGEST and value.isprintable() and value.strip() == value):
            raise BadUser(f"{field}: 1 to {LONGEST} characters without line breaks or spaces at its ends")
    if not values["name"]:
        raise BadUser("name: it can't be empty")
    if values["owner_id"] and values["active"]:
        other = account.by_owner(tx, values["owner_id"])
        if other is not None and other.user_id != user_id:
            raise BadUser(f"owner id {values['owner_id']} belongs to {other.email}")


def _check_stand_in(tx: Connection, user_id: uuid.UUID, stand_in: uuid.UUID | None) -> None:
    if stand_in is None:
        return
    if stand_in == user_id:
        raise BadUser("stand_in: nobody stands in for themselves")
    other = account.by_id(tx, stand_in)
    if other is None or not other.active:
        raise BadUser("stand_in: no active user is known by that")


def _keep_an_admin(tx: Connection, user: User, values: Mapping[str, Any]) -> None:
    if user.role != "admin" or not user.active or (values["role"] == "admin" and values["active"]):
        return
    others = sql("SELECT 1 FROM users WHERE role = 'admin' AND active AND user_id <> :user_id LIMIT 1")
    if tx.execute(others, {"user_id": user.user_id}).first() is None:
        raise BadUser(f"{user.email} is the last admin; make another one first")
