"""One person, as every other part sees them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql

COLUMNS: Final = (
    "u.user_id, u.email, u.name, u.role, u.owner_id, u.stand_in, u.active,"
    " (SELECT coalesce(jsonb_agg(jsonb_build_array(v.user_id, v.owner_id) ORDER BY v.user_id), '[]'::jsonb)"
    " FROM users AS v WHERE v.stand_in = u.user_id) AS stands_for"
)
"""What `of_row` needs of users `u`."""


@dataclass(frozen=True, slots=True)
class User:
    """A person: `owner_id` is who they are in the CRM, `stand_in` who may act in their place."""

    user_id: uuid.UUID
    email: str
    name: str
    role: str
    owner_id: str | None = None
    stand_in: uuid.UUID | None = None
    active: bool = True
    people: frozenset[uuid.UUID] = frozenset()
    """Themselves and those whom they stand in for."""
    owners: frozenset[str] = frozenset()
    """The owner ids of those people: deals of these are `own`."""

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        names = ("user_id", "email", "name", "role", "owner_id", "stand_in", "active")
        return {name: getattr(self, name) for name in names}


def of_row(row: Mapping[Any, Any]) -> User:
    """A user from a row with COLUMNS."""
    pairs = [(row["user_id"], row["owner_id"]), *((uuid.UUID(one), owner) for one, owner in row["stands_for"])]
    return User(
        **{name: row[name] for name in ("user_id", "email", "name", "role", "owner_id", "stand_in", "active")},
        people=frozenset(one for one, _ in pairs),
        owners=frozenset(owner for _, owner in pairs if owner),
    )


def by_id(tx: Connection, user_id: uuid.UUID) -> User | None:
    """The user of that id, active or not."""
    return _one(tx, "u.user_id = :value", user_id)


def by_email(tx: Connection, email: str) -> User | None:
    """The user of that address in whatever case, active or not."""
    return None if "\0" in email else _one(tx, "u.email = :value", email.strip().lower())


def by_owner(tx: Connection, owner_id: str) -> User | None:
    """The active user who is that owner in the CRM."""
    return _one(tx, "u.owner_id = :value AND u.active", owner_id)


def _one(tx: Connection, where: str, value: object) -> User | None:
    found = tx.execute(sql(f"SELECT {COLUMNS} FROM users AS u WHERE {where}"), {"value": value})  # noqa: S608
    row = found.mappings().one_or_none()
    return None if row is None else of_row(row)
