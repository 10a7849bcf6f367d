"""By which ways an approver is asked, one after the other: the next one only if the last can't reach them."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from config.settings import Settings
from revpipe.db import sql

ROLE_MOST: Final = 20
"""How many people of a role are written to: more than that is a list, which a channel serves better."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row to be: `address` is a person's e-mail, or a channel's id."""

    way: str
    address: str
    user_id: uuid.UUID | None = None


Rung = tuple[Recipient, ...]


def rungs(tx: Connection, settings: Settings, approver: Mapping[str, Any]) -> list[Rung]:
    """The ways to `approver`, in the order of APPROVAL_WAYS; those that are not configured are left out."""
    return [rung for way in settings.approval_ways for rung in _rung(tx, settings, approver, way) if rung]


def _rung(tx: Connection, settings: Settings, approver: Mapping[str, Any], way: str) -> Iterator[Rung]:
    email = str(approver.get("email") or "").lower()
    if way == "channel" and settings.slack_bot_token and settings.slack_default_channel:
        yield (Recipient("slack", settings.slack_default_channel),)
    elif way == "slack" and settings.slack_bot_token and email:
        yield (Recipient("slack", email, approver.get("user_id")),)
    elif way == "email" and settings.smtp_url and settings.mail_from:
        if email:
            yield (Recipient("email", email, approver.get("user_id")),)
        elif approver.get("role"):
            yield tuple(_people_of(tx, str(approver["role"])))


def _people_of(tx: Connection, role: str) -> Iterator[Recipient]:
    found = tx.execute(
        sql("SELECT user_id, email FROM users WHERE active AND role = :role ORDER BY email LIMIT :most"),
        {"role": role, "most": ROLE_MOST},
    )
    for row in found:
        yield Recipient("email", row.email, row.user_id)
