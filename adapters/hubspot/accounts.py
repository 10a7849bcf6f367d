"""Accounts: HubSpot's companies, in our words."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from adapters.hubspot.answers import Link, Record
from adapters.hubspot.values import flag, integer, number, text

PROPERTIES: Final = (
    "name",
    "domain",
    "industry",
    "numberofemployees",
    "annualrevenue",
    "country",
    "hs_is_target_account",
    "hs_num_open_deals",
    "hubspot_owner_id",
    "lifecyclestage",
    "hs_merged_object_ids",
)


def account_value(company: Record) -> dict[str, Any]:
    """The part `account`; `industry` is HubSpot's option id (`COMPUTER_SOFTWARE`)."""
    told = company.properties.get
    return {
        "id": company.id,
        "name": text(told("name")),
        "domain": text(told("domain")),
        "industry": text(told("industry")),
        "employees": integer(told("numberofemployees")),
        "annual_revenue": number(told("annualrevenue")),
        "country": text(told("country")),
        "is_target": flag(told("hs_is_target_account")),
        "open_deals": integer(told("hs_num_open_deals")),
        "owner_id": text(told("hubspot_owner_id")),
        "lifecycle_stage": text(told("lifecyclestage")),
    }


def best(companies: Iterable[Record]) -> Record | None:
    """Of companies with one domain, which HubSpot allows: the target account, else most open deals, else the oldest."""
    return min(companies, key=_rank, default=None)


def primary(companies: Sequence[Link]) -> str | None:
    """The company labelled Primary, else the first."""
    labelled = (link.id for link in companies if "Primary" in link.labels)
    return next(labelled, companies[0].id if companies else None)


def _rank(company: Record) -> tuple[bool, int, int, str]:
    told = company.properties.get
    is_target, open_deals = flag(told("hs_is_target_account")), integer(told("hs_num_open_deals"))
    return not is_target, -(open_deals or 0), len(company.id), company.id
