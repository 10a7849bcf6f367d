"""People of a deployment, and a CRM that knows whose deals are whose, for tests of approvals."""

import uuid
from dataclasses import replace
from typing import Any

from revpipe.actors import Actor
from revpipe.ids import uuid7
from revpipe.ports import Part
from revpipe.services import Services
from tests.integration.ledger_fixtures import OPEN_DEAL, FakeProvider, rows

OWNER = {"amount": 2000, "owner_id": "o-1", "owner_email": "rep@example.com"}
"""What the CRM tells of a small deal of the rep's, beside the rest."""
DEAL = {**OPEN_DEAL, "owner_id": "o-1", "amount": 2000}
CONTACT = {"id": "c-1", "email": "Buyer@Example.com", "unsubscribed": False, "replied_at": None}


class Crm(FakeProvider):
    """A CRM that knows a contact, too."""

    contact: dict[str, Any] = CONTACT

    def _part(self, name: str, signal: Any) -> Part:
        if name == "contact":
            return Part(name, self.name, self._clock.now(), self.contact)
        return super()._part(name, signal)


def user(
    services: Services,
    email: str,
    role: str = "rep",
    *,
    owner_id: str | None = None,
    stand_in: Actor | None = None,
    active: bool = True,
) -> Actor:
    """A user of that name, who speaks in the console."""
    made = Actor(email, "console", uuid7())
    rows(
        services,
        "INSERT INTO users (user_id, email, name, role, owner_id, stand_in, active, created_at, changed_at)"
        " VALUES (:id, :email, :email, :role, :owner_id, :stand_in, :active, :now, :now)",
        id=made.user_id,
        email=email,
        role=role,
        owner_id=owner_id,
        stand_in=stand_in.user_id if stand_in else None,
        active=active,
        now=services.clock.now(),
    )
    return made


def by_way(actor: Actor, way: str) -> Actor:
    """The same person by another way."""
    return replace(actor, way=way)


def policies(services: Services, type: str, **changed: Any) -> dict[str, Any]:
    """The policies of `services` with some words changed for one type."""
    return {**services.policy, type: replace(services.policy[type], **changed)}


def approval(services: Services, action_id: uuid.UUID) -> dict[str, Any]:
    (row,) = rows(services, "SELECT * FROM approvals WHERE action_id = :id", id=action_id)
    return row
