"""What tests of the console stand on: people who are signed in, and requests that wait for them."""

import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from revpipe.actors import Actor
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.users import account, accounts, sessions
from revpipe.users.account import User
from tests.integration.ledger_fixtures import call, put, rows, run_to, signal_id

KEY: Final = "a key of tests that is long enough to sign with"
COOKIE: Final = "revpipe-session"


def person(services: Services, email: str, role: str, owner_id: str | None = None) -> User:
    """A user, made if there is none of that address."""
    with transaction(services.engine) as tx:
        found = account.by_email(tx, email)
        return found or accounts.add(
            tx, services.clock.now(), email, role, name=email.partition("@")[0], owner_id=owner_id
        )


def speaker(services: Services, email: str = "ben@example.com", way: str = "slack") -> Actor:
    """An operator who decides by another way than the console."""
    return Actor(email, way, person(services, email, "operator").user_id)


def session_of(services: Services, email: str, role: str, owner_id: str | None = None) -> str:
    """The secret of a new session of theirs, as their browser's cookie holds it."""
    user = person(services, email, role, owner_id)
    with transaction(services.engine) as tx:
        return sessions.begin(tx, services.clock.now(), user.user_id, "link", "tests")


def cookie_for(services: Services, email: str, role: str, url: str) -> Any:
    """That cookie, as a browser takes it."""
    host = urlsplit(url).hostname
    return {"name": COOKIE, "value": session_of(services, email, role), "domain": host, "path": "/"}


def ask(services: Services, *names: str, **more: Any) -> dict[str, dict[str, uuid.UUID]]:
    """Take signals to where both of their actions wait for a person: name → type → action."""
    events = [
        call(name, f"d-{name}", event="deal.stage_changed", payload={"property": "dealstage"}, **more) for name in names
    ]
    put(services, *events)
    run_to(services, "execute")
    return {name: actions_of(services, name) for name in names}


def actions_of(services: Services, name: str) -> dict[str, uuid.UUID]:
    """The actions of a signal by type."""
    found = rows(services, "SELECT type, action_id FROM actions WHERE signal_id = :id", id=signal_id(name))
    return {row["type"]: row["action_id"] for row in found}


def approval_row(services: Services, action_id: uuid.UUID) -> Mapping[str, Any]:
    """An approval as it stands in the ledger."""
    (row,) = rows(services, "SELECT * FROM approvals WHERE action_id = :id", id=action_id)
    return row


def urlopen_ok(url: str) -> bool:
    """Whether something answers there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
