"""Contacts, in our words."""

from collections.abc import Sequence
from typing import Any, Final

from adapters.hubspot.answers import Record
from adapters.hubspot.values import choices, flag, iso, text

PROPERTIES: Final = (
    "email",
    "firstname",
    "lastname",
    "jobtitle",
    "lifecyclestage",
    "hs_buying_role",
    "associatedcompanyid",
    "hubspot_owner_id",
    "notes_last_updated",
    "hs_sales_email_last_replied",
    "hs_email_optout",
    "hs_merged_object_ids",
)
CHAMPION: Final = "CHAMPION"


def contact_value(contact: Record) -> dict[str, Any]:
    """The part `contact`; buying roles are HubSpot's option ids in upper case (`BUDGET_HOLDER`)."""
    told = contact.properties.get
    first, last = text(told("firstname")), text(told("lastname"))
    return {
        "id": contact.id,
        "email": text(told("email")),
        "first_name": first,
        "last_name": last,
        "name": " ".join(filter(None, (first, last))) or None,
        "job_title": text(told("jobtitle")),
        "lifecycle_stage": text(told("lifecyclestage")),
        "buying_roles": buying_roles(contact),
        "account_id": text(told("associatedcompanyid")),
        "owner_id": text(told("hubspot_owner_id")),
        "last_activity_at": iso(told("notes_last_updated")),
        "replied_at": iso(told("hs_sales_email_last_replied")),
        "unsubscribed": flag(told("hs_email_optout")),
    }


def buying_roles(contact: Record) -> list[str]:
    """What part the contact plays in buying."""
    return [role.upper().replace(" ", "_") for role in choices(contact.properties.get("hs_buying_role"))]


def champion(contacts: Sequence[Record]) -> Record | None:
    """The first contact who is a champion, else the first."""
    champions = (contact for contact in contacts if CHAMPION in buying_roles(contact))
    return next(champions, contacts[0] if contacts else None)
