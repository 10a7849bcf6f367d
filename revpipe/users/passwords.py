"""Passwords, hashed by Argon2id."""

import uuid
from datetime import datetime
from functools import cache
from threading import BoundedSemaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.users import secret
from revpipe.users.account import User
from revpipe.users.errors import BadUser

SHORTEST: Final = 12
LONGEST: Final = 256
DISTINCT: Final = 5
"""Different characters at the least: `aaaaaaaaaaaa` is long, too."""
# OWASP's least for Argon2id: 19 MiB and two passes. RFC 9106's 64 MiB by each of eight threads would fill the memory of
# a small dyno.
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_TURNS: Final = BoundedSemaphore(2)
"""So many are computed at a time in one process; others wait their turn."""


def check(password: str, user: User) -> None:
    """Raises BadUser if the password is too easy to guess, or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadUser(f"A password has {SHORTEST} to {LONGEST} characters; a few unrelated words will do.")
    if len(set(password)) < DISTINCT:
        raise BadUser(f"A password has at least {DISTINCT} different characters.")
    if user.email.split("@")[0] in password.lower() and len(user.email.split("@")[0]) > 3:
        raise BadUser("The password must not contain your address.")


def keep(tx: Connection, now: datetime, user_id: uuid.UUID, password: str) -> None:
    """Make it the password of a user."""
    with _TURNS:
        made = _HASHER.hash(password)
    tx.execute(
        sql("UPDATE users SET password_hash = :made, changed_at = :now WHERE user_id = :user_id"),
        {"made": made, "now": now, "user_id": user_id},
    )


def kept(tx: Connection, email: str) -> str | None:
    """The hash of an active user's password, None if there is no such user or they have none."""
    if "\0" in email:
        # Nobody's address, and PostgreSQL takes none with it.
        return None
    found = sql("SELECT password_hash FROM users WHERE email = :email AND active")
    value: str | None = tx.execute(found, {"email": email.strip().lower()}).scalar_one_or_none()
    return value


def holds(hashed: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed. It takes as long when there is none to compare with."""
    nobody = _of_nobody()
    try:
        with _TURNS:
            return _HASHER.verify(hashed or nobody, password[: LONGEST + 1]) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(hashed: str) -> bool:
    """Whether it was hashed with less than is asked for today."""
    return _HASHER.check_needs_rehash(hashed)


@cache
def _of_nobody() -> str:
    return _HASHER.hash(secret.fresh())
