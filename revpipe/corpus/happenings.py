"""What happens in the made-up portal: each kind changes its records, and says it as the vendor's webhook would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe.corpus import mix
from revpipe.corpus.world import DAY, Account, Contact, Deal, World

PORTAL: Final = 24_681_357
PEOPLE_DO: Final = "CRM_UI"
TRACKER: Final = "Competitors"
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


def happen(world: World, kind: str, at: datetime, number: int) -> Happening:
    """One more happening of a kind, the `number`-th of all."""
    return _KINDS[kind](world, at, number)


def _event(kind: str, at: datetime, number: int, source: str = PEOPLE_DO, **more: Any) -> Json:
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


def _changed(
    kind: str, about: Deal | Account | Contact, at: datetime, number: int, name: str, old: Any, new: Any, **more: Any
) -> Happening:
    """A property's change. One in thirty has been overtaken by a later one when it is looked up."""
    written = "" if new is None else str(new)
    body = _event(f"{kind}.propertyChange", at, number, objectId=int(about.id), propertyName=name, **more)
    overtaken = number % 30 == 7
    change = {"property": name, "old_value": old, "new_value": new, "at": at.isoformat(), "overtaken": overtaken}
    return _of(about, {**body, "propertyValue": written}, change)


def _of(about: Deal | Account | Contact, body: Json, change: Mapping[str, Any] | None = None) -> Happening:
    """A happening with the records that enrichment finds round the one that it is about."""
    if isinstance(about, Deal):
        return Happening("hubspot", body, about, about.account, _champion(about), change, calls=_recent(about))
    account = about if isinstance(about, Account) else about.account
    among = account.deals if isinstance(about, Account) else [deal for deal in account.deals if about in deal.contacts]
    deal = _best_open(among)
    contact = about if isinstance(about, Contact) else None
    return Happening("hubspot", body, deal, account, contact, change, calls=_recent(deal) if deal else ())


def _champion(deal: Deal) -> Contact | None:
    champions = [one for one in deal.contacts if "CHAMPION" in one.roles]
    return next(iter(champions or deal.contacts), None)


def _best_open(deals: list[Deal]) -> Deal | None:
    return max(
        (deal for deal in deals if not deal.is_closed), key=lambda deal: (deal.amount or 0, deal.id), default=None
    )


def _recent(deal: Deal) -> tuple[Json, ...]:
    return tuple(deal.calls[::-1][:10])


def _contact_property(world: World, at: datetime, number: int) -> Happening:
    contact = world.chance.choice(world.contacts)
    name = world.chance.choice(mix.CONTACT_PROPERTIES)
    return _changed("contact", contact, at, number, name, None, f"value {number}")


def _deal_property(world: World, at: datetime, number: int) -> Happening:
    deal = world.open_deal() if world.chance.random() < 0.8 else world.chance.choice(world.deals)
    _touch(world, deal, at, 0.25)
    return _changed("deal", deal, at, number, world.chance.choice(mix.DEAL_PROPERTIES), None, f"value {number}")


def _account_property(world: World, at: datetime, number: int) -> Happening:
    account = world.chance.choice(world.accounts)
    source = "DATA_ENRICHMENT" if world.chance.random() < 0.6 else PEOPLE_DO
    name = world.chance.choice(mix.ACCOUNT_PROPERTIES)
    return _changed("company", account, at, number, name, None, f"value {number}", source=source)


def _import(world: World, at: datetime, number: int) -> Happening:
    if world.chance.random() < 0.7:
        contact = world.chance.choice(world.contacts)
        name = world.chance.choice((*mix.CONTACT_PROPERTIES, "lifecyclestage", "jobtitle"))
        return _changed("contact", contact, at, number, name, None, f"value {number}", source="IMPORT")
    account = world.chance.choice(world.accounts)
    name = world.chance.choice(mix.ACCOUNT_PROPERTIES)
    return _changed("company", account, at, number, name, None, f"value {number}", source="IMPORT")


def _telling_property(world: World, at: datetime, number: int) -> Happening:
    chance = world.chance
    if chance.random() < 0.45:
        deal = world.open_deal()
        name = chance.choice(mix.TELLING["deal"])
        old = deal.next_step if name == "hs_next_step" else "PIPELINE"
        new = chance.choice(mix.STEPS) if name == "hs_next_step" else chance.choice(("COMMIT", "BEST_CASE", "OMIT"))
        deal.next_step = new if name == "hs_next_step" else deal.next_step
        return _changed("deal", deal, at, number, name, old, new)
    contact = chance.choice(world.contacts)
    name = chance.choice(mix.TELLING["contact"])
    if name == "jobtitle":
        old, contact.title = contact.title, chance.choice(mix.TITLES)
        return _changed("contact", contact, at, number, name, old, contact.title)
    if name == "hs_buying_role":
        before, contact.roles = ";".join(contact.roles) or None, [chance.choice(mix.ROLES)]
        return _changed("contact", contact, at, number, name, before, contact.roles[0])
    old, contact.lifecycle = contact.lifecycle, chance.choice(("salesqualifiedlead", "opportunity", "customer"))
    return _changed("contact", contact, at, number, name, old, contact.lifecycle)


def _stage(world: World, at: datetime, number: int) -> Happening:
    deal, chance = world.open_deal(), world.chance
    was = deal.stage
    back = was > 0 and chance.random() < 0.17
    now = was - 1 if back else was + 1 if was < mix.WON - 1 else mix.WON + (chance.random() < 0.45)
    if not back and chance.random() < 0.05:
        now = mix.WON + 1
    world.move(deal, now, at)
    _touch(world, deal, at, 0.6)
    return _changed("deal", deal, at, number, "dealstage", mix.STAGES[was][0], mix.STAGES[now][0])


def _close_date(world: World, at: datetime, number: int) -> Happening:
    deal, chance = world.open_deal(), world.chance
    was = deal.close_date
    deal.close_date = max(was, at) + DAY * chance.randint(5, 45) if chance.random() < 0.75 else was - DAY * 7
    deal.dates.insert(0, (deal.close_date, at))
    _touch(world, deal, at, 0.4)
    millis = int(deal.close_date.timestamp() * 1000)
    made = _changed("deal", deal, at, number, "closedate", was.isoformat(), millis)
    change = {**(made.change or {}), "new_value": deal.close_date.isoformat()}
    return Happening(made.source, made.body, made.deal, made.account, made.contact, change, calls=made.calls)


def _amount(world: World, at: datetime, number: int) -> Happening:
    deal, was = world.open_deal(), None
    was = deal.amount
    factor = world.chance.choice((0.6, 0.75, 0.9, 0.97, 1.03, 1.1, 1.25, 1.6))
    deal.amount = round((was or 18_000.0) * factor, -2)
    _touch(world, deal, at, 0.4)
    return _changed("deal", deal, at, number, "amount", was, deal.amount)


def _owner(world: World, at: datetime, number: int) -> Happening:
    deal = world.open_deal()
    was, deal.owner_id = deal.owner_id, str(world.chance.randint(11, 34))
    return _changed("deal", deal, at, number, "hubspot_owner_id", was, deal.owner_id)


def _deal_created(world: World, at: datetime, number: int) -> Happening:
    deal = world.add_deal(world.chance.choice(world.accounts), at, 0, timedelta(seconds=2))
    return _of(deal, _event("deal.creation", at, number, objectId=int(deal.id)))


def _contact_created(world: World, at: datetime, number: int) -> Happening:
    contact = world.add_contact(world.chance.choice(world.accounts))
    source = "FORM" if world.chance.random() < 0.6 else PEOPLE_DO
    return _of(contact, _event("contact.creation", at, number, source, objectId=int(contact.id)))


def _account_created(world: World, at: datetime, number: int) -> Happening:
    account = world.add_account()
    world.add_contact(account)
    return _of(account, _event("company.creation", at, number, objectId=int(account.id)))


def _link(world: World, at: datetime, number: int) -> Happening:
    chance, removed = world.chance, world.chance.random() < 0.22
    if chance.random() < 0.45:
        deal = world.open_deal()
        contact = chance.choice(deal.contacts if removed and deal.contacts else deal.account.contacts)
        if removed and contact in deal.contacts:
            deal.contacts.remove(contact)
        elif contact not in deal.contacts:
            deal.contacts.append(contact)
        ends: Json = {"associationType": "DEAL_TO_CONTACT", "fromObjectId": int(deal.id), "toObjectId": int(contact.id)}
        body = _event("deal.associationChange", at, number, associationRemoved=removed, **ends)
        return Happening("hubspot", body, deal, deal.account, contact, calls=_recent(deal))
    contact = chance.choice(world.contacts)
    ends = {
        "associationType": "CONTACT_TO_COMPANY",
        "fromObjectId": int(contact.id),
        "toObjectId": int(contact.account.id),
    }
    return _of(contact, _event("contact.associationChange", at, number, associationRemoved=removed, **ends))


def _housekeeping(world: World, at: datetime, number: int) -> Happening:
    chance = world.chance
    if chance.random() < 0.6:
        deal = world.open_deal()
        line = 40_000_000 + number
        made = _of(deal, _event("line_item.creation", at, number, objectId=line))
        return Happening("hubspot", made.body)
    contact = chance.choice(world.contacts)
    if chance.random() < 0.5:
        return _of(contact, _event("contact.restore", at, number, objectId=int(contact.id)))
    other = chance.choice(world.contacts)
    merged: Json = {
        "primaryObjectId": int(contact.id),
        "mergedObjectIds": [int(other.id)],
        "newObjectId": int(contact.id),
    }
    return _of(contact, _event("contact.merge", at, number, objectId=int(contact.id), **merged))


def _call(world: World, at: datetime, number: int) -> Happening:
    """A call as Gong sends it (Gong help, "Payload sent to webhooks")."""
    chance = world.chance
    deal = world.open_deal() if chance.random() < 0.8 else None
    account = deal.account if deal else chance.choice(world.accounts)
    contact = chance.choice((deal.contacts if deal else []) or account.contacts)
    seconds = chance.randint(400, 3_400)
    started = at - timedelta(seconds=seconds)
    rivals = [chance.choice(mix.RIVALS)] if chance.random() < 0.25 else []
    steps = [chance.choice(mix.STEPS)] if chance.random() < 0.4 else []
    objects = [{"objectType": "Deal", "objectId": deal.id}] if deal else []
    phrases = [{"phrase": one, "count": 1, "occurrences": [{"startTime": 90.0, "speakerId": "1"}]} for one in rivals]
    call = {
        "metaData": {
            "id": str(7_782_000_000_000_000_000 + number),
            "url": f"https://app.gong.io/call?id={7_782_000_000_000_000_000 + number}",
            "title": f"{account.name}, {chance.choice(('first call', 'demo', 'pricing review', 'weekly'))}",
            "started": started.isoformat(),
            "duration": seconds,
            "direction": "Conference",
            "scope": "External",
        },
        "context": [{"system": "HubSpot", "objects": [*objects, {"objectType": "Company", "objectId": account.id}]}],
        "parties": [
            {
                "speakerId": "1",
                "name": f"{contact.first} {contact.last}",
                "affiliation": "External",
                "context": [
                    {"system": "HubSpot", "objects": [{"objectType": "Contact", "objectId": contact.id}]}
                ],
            }
        ],
        "content": {
            "trackers": [{"id": "1", "name": TRACKER, "count": len(rivals), "type": "KEYWORD", "phrases": phrases}],
            "brief": "They spoke of scope, price and the next steps.",
            "highlights": [{"title": "Next steps", "items": [{"text": one} for one in steps]}],
        },
    }  # fmt: skip
    made = Happening(
        "gong", {"callData": call, "isTest": False, "isPrivate": False}, deal, account, contact,
        target="/webhooks/gong", calls=_recent(deal) if deal else (),
    )  # fmt: skip
    if deal:
        deal.last_activity = at
        deal.calls.append({"call_id": str(number), "started_at": started.isoformat(), "competitors": rivals})
    return made


def _surge(world: World, at: datetime, number: int) -> Happening:
    """A row of Bombora's weekly file. Half of the companies that research are none of ours."""
    chance = world.chance
    week = at.date() - timedelta(days=at.isoweekday() % 7)
    account = chance.choice(world.accounts) if chance.random() < 0.5 else None
    domain = account.domain if account else f"stranger-{number}.example"
    score = chance.choices((64, 71, 78, 86, 93), (34, 27, 20, 13, 6))[0]
    # The number keeps two rows about one company and topic of a week apart.
    row = f'{domain},"{chance.choice(mix.TOPICS)} {number % 97}",{score},{week}'
    return Happening("bombora", f"Domain,Topic,Composite Score,Date\n{row}\n", None, account, target="/imports/bombora")


def _touch(world: World, deal: Deal, at: datetime, odds: float) -> None:
    """Whoever edits a deal has often just been in touch."""
    if world.chance.random() < odds:
        deal.last_activity = at - timedelta(hours=world.chance.uniform(0, 20))


_KINDS: Final[Mapping[str, Callable[[World, datetime, int], Happening]]] = {
    "contact_property": _contact_property,
    "deal_property": _deal_property,
    "account_property": _account_property,
    "import": _import,
    "telling_property": _telling_property,
    "stage": _stage,
    "close_date": _close_date,
    "amount": _amount,
    "owner": _owner,
    "deal_created": _deal_created,
    "contact_created": _contact_created,
    "account_created": _account_created,
    "link": _link,
    "housekeeping": _housekeeping,
    "call": _call,
    "surge": _surge,
}
