"""The first admin: somebody must be able to let the others in."""

import getpass
import re
from datetime import datetime

from sqlalchemy import Connection, Engine

from revpipe import audit
from revpipe.db import sql, transaction
from revpipe.users import account, accounts, links
from revpipe.users.account import User


def link(engine: Engine, now: datetime) -> tuple[User, str]:
    """The first admin, who is made if there is no user at all, and the token of a new link for them."""
    by = audit.user_here()
    with transaction(engine) as tx:
        user = _first(tx) or _made(tx, now, by)
        audit.write(tx, now, by, "users link", {"user": str(user.user_id)})
        return user, links.make(tx, now, user.user_id, by)


def _first(tx: Connection) -> User | None:
    row = (
        tx.execute(
            sql(
                f"SELECT {account.COLUMNS} FROM users AS u WHERE u.role = 'admin' AND u.active"  # noqa: S608
                " ORDER BY u.created_at, u.user_id LIMIT 1"
            )
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else account.of_row(row)


def _made(tx: Connection, now: datetime, by: str) -> User:
    user = accounts.add(tx, now, f"{_local_name()}@localhost", "admin")
    audit.write(tx, now, by, "users add", {"user": str(user.user_id), "role": user.role})
    return user


def _local_name() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        # A container may run under a number that no name belongs to.
        name = "admin"
    return re.sub(r"[^a-z0-9._-]", "", name.lower()) or "admin"
