"""One thing that happens in the made-up portal, and the bodies in which HubSpot's webhooks tell of such."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from revpipe.corpus.world import Account, Contact, Deal

PORTAL: Final = 24_681_357
PEOPLE_DO: Final = "CRM_UI"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened: its webhook's body, the records round it, and what the CRM's history says of it."""

    source: str
    body: Json | str
    deal: Deal | None = None
    account: Account | None = None
    contact: Contact | None = None
    change: Mapping[str, Any] | None = None
    target: str = "/webhooks/hubspot"
    calls: tuple[Json, ...] = field(default=())


def event(kind: str, at: datetime, number: int, source: str = PEOPLE_DO, **more: Any) -> Json:
    """An event as HubSpot sends it (HubSpot docs, webhooks)."""
    return {
        "eventId": 3_100_000_000 + number,
        "subscriptionId": 2_718_281,
        "portalId": PORTAL,
        "appId": 1_357_924,
        "occurredAt": int(at.timestamp() * 1000),
        "subscriptionType": kind,
        "attemptNumber": 0,
        "changeSource": source,
        "sourceId": f"userId:{number % 24 + 11}",
        **more,
    }


def changed(
    kind: str, about: Deal | Account | Contact, at: datetime, number: int, name: str, old: Any, new: Any, **more: Any
) -> Happening:
    """A property's change. One in thirty has been overtaken by a later one when it is looked up."""
    written = "" if new is None else str(new)
    body = event(f"{kind}.propertyChange", at, number, objectId=int(about.id), propertyName=name, **more)
    overtaken = number % 30 == 7
    change = {"property": name, "old_value": old, "new_value": new, "at": at.isoformat(), "overtaken": overtaken}
    return of(about, {**body, "propertyValue": written}, change)


def of(about: Deal | Account | Contact, body: Json, change: Mapping[str, Any] | None = None) -> Happening:
    """A happening with the records that enrichment finds round the one that it is about."""
    if isinstance(about, Deal):
        return Happening("hubspot", body, about, about.account, _champion(about), change, calls=recent(about))
    account = about if isinstance(about, Account) else about.account
    among = account.deals if isinstance(about, Account) else [deal for deal in account.deals if about in deal.contacts]
    deal = _best_open(among)
    contact = about if isinstance(about, Contact) else None
    return Happening("hubspot", body, deal, account, contact, change, calls=recent(deal) if deal else ())


def _champion(deal: Deal) -> Contact | None:
    champions = [one for one in deal.contacts if "CHAMPION" in one.roles]
    return next(iter(champions or deal.contacts), None)


def _best_open(deals: list[Deal]) -> Deal | None:
    return max(
        (deal for deal in deals if not deal.is_closed), key=lambda deal: (deal.amount or 0, deal.id), default=None
    )


def recent(deal: Deal) -> tuple[Json, ...]:
    """Its last ten calls, the newest first."""
    return tuple(deal.calls[::-1][:10])
