"""What happens in the made-up portal: each kind changes its records, and says it as the vendor's webhook would."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from revpipe.corpus import mix
from revpipe.corpus.calls_and_surges import call, surge
from revpipe.corpus.happening import PEOPLE_DO, Happening, Json, changed, event, of, recent
from revpipe.corpus.world import DAY, Deal, World


def happen(world: World, kind: str, at: datetime, number: int) -> Happening:
    """One more happening of a kind, the `number`-th of all."""
    return _KINDS[kind](world, at, number)


def _contact_property(world: World, at: datetime, number: int) -> Happening:
    contact = world.chance.choice(world.contacts)
    name = world.chance.choice(mix.CONTACT_PROPERTIES)
    return changed("contact", contact, at, number, name, None, f"value {number}")


def _deal_property(world: World, at: datetime, number: int) -> Happening:
    deal = world.open_deal() if world.chance.random() < 0.8 else world.chance.choice(world.deals)
    _touch(world, deal, at, 0.25)
    return changed("deal", deal, at, number, world.chance.choice(mix.DEAL_PROPERTIES), None, f"value {number}")


def _account_property(world: World, at: datetime, number: int) -> Happening:
    account = world.chance.choice(world.accounts)
    source = "DATA_ENRICHMENT" if world.chance.random() < 0.6 else PEOPLE_DO
    name = world.chance.choice(mix.ACCOUNT_PROPERTIES)
    return changed("company", account, at, number, name, None, f"value {number}", source=source)


def _import(world: World, at: datetime, number: int) -> Happening:
    if world.chance.random() < 0.7:
        contact = world.chance.choice(world.contacts)
        name = world.chance.choice((*mix.CONTACT_PROPERTIES, "lifecyclestage", "jobtitle"))
        return changed("contact", contact, at, number, name, None, f"value {number}", source="IMPORT")
    account = world.chance.choice(world.accounts)
    name = world.chance.choice(mix.ACCOUNT_PROPERTIES)
    return changed("company", account, at, number, name, None, f"value {number}", source="IMPORT")


def _telling_property(world: World, at: datetime, number: int) -> Happening:
    chance = world.chance
    if chance.random() < 0.45:
        deal = world.open_deal()
        name = chance.choice(mix.TELLING["deal"])
        old = deal.next_step if name == "hs_next_step" else "PIPELINE"
        new = chance.choice(mix.STEPS) if name == "hs_next_step" else chance.choice(("COMMIT", "BEST_CASE", "OMIT"))
        deal.next_step = new if name == "hs_next_step" else deal.next_step
        return changed("deal", deal, at, number, name, old, new)
    contact = chance.choice(world.contacts)
    name = chance.choice(mix.TELLING["contact"])
    if name == "jobtitle":
        old, contact.title = contact.title, chance.choice(mix.TITLES)
        return changed("contact", contact, at, number, name, old, contact.title)
    if name == "hs_buying_role":
        before, contact.roles = ";".join(contact.roles) or None, [chance.choice(mix.ROLES)]
        return changed("contact", contact, at, number, name, before, contact.roles[0])
    old, contact.lifecycle = contact.lifecycle, chance.choice(("salesqualifiedlead", "opportunity", "customer"))
    return changed("contact", contact, at, number, name, old, contact.lifecycle)


def _stage(world: World, at: datetime, number: int) -> Happening:
    deal, chance = world.open_deal(), world.chance
    was = deal.stage
    back = was > 0 and chance.random() < 0.17
    now = was - 1 if back else was + 1 if was < mix.WON - 1 else mix.WON + (chance.random() < 0.45)
    if not back and chance.random() < 0.05:
        now = mix.WON + 1
    world.move(deal, now, at)
    _touch(world, deal, at, 0.6)
    return changed("deal", deal, at, number, "dealstage", mix.STAGES[was][0], mix.STAGES[now][0])


def _close_date(world: World, at: datetime, number: int) -> Happening:
    deal, chance = world.open_deal(), world.chance
    was = deal.close_date
    deal.close_date = max(was, at) + DAY * chance.randint(5, 45) if chance.random() < 0.75 else was - DAY * 7
    deal.dates.insert(0, (deal.close_date, at))
    _touch(world, deal, at, 0.4)
    millis = int(deal.close_date.timestamp() * 1000)
    made = changed("deal", deal, at, number, "closedate", was.isoformat(), millis)
    change = {**(made.change or {}), "new_value": deal.close_date.isoformat()}
    return Happening(made.source, made.body, made.deal, made.account, made.contact, change, calls=made.calls)


def _amount(world: World, at: datetime, number: int) -> Happening:
    deal, was = world.open_deal(), None
    was = deal.amount
    factor = world.chance.choice((0.6, 0.75, 0.9, 0.97, 1.03, 1.1, 1.25, 1.6))
    deal.amount = round((was or 18_000.0) * factor, -2)
    _touch(world, deal, at, 0.4)
    return changed("deal", deal, at, number, "amount", was, deal.amount)


def _owner(world: World, at: datetime, number: int) -> Happening:
    deal = world.open_deal()
    was, deal.owner_id = deal.owner_id, str(world.chance.randint(11, 34))
    return changed("deal", deal, at, number, "hubspot_owner_id", was, deal.owner_id)


def _deal_created(world: World, at: datetime, number: int) -> Happening:
    deal = world.add_deal(world.chance.choice(world.accounts), at, 0, timedelta(seconds=2))
    return of(deal, event("deal.creation", at, number, objectId=int(deal.id)))


def _contact_created(world: World, at: datetime, number: int) -> Happening:
    contact = world.add_contact(world.chance.choice(world.accounts))
    source = "FORM" if world.chance.random() < 0.6 else PEOPLE_DO
    return of(contact, event("contact.creation", at, number, source, objectId=int(contact.id)))


def _account_created(world: World, at: datetime, number: int) -> Happening:
    account = world.add_account()
    world.add_contact(account)
    return of(account, event("company.creation", at, number, objectId=int(account.id)))


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
        body = event("deal.associationChange", at, number, associationRemoved=removed, **ends)
        return Happening("hubspot", body, deal, deal.account, contact, calls=recent(deal))
    contact = chance.choice(world.contacts)
    ends = {
        "associationType": "CONTACT_TO_COMPANY",
        "fromObjectId": int(contact.id),
        "toObjectId": int(contact.account.id),
    }
    return of(contact, event("contact.associationChange", at, number, associationRemoved=removed, **ends))


def _housekeeping(world: World, at: datetime, number: int) -> Happening:
    chance = world.chance
    if chance.random() < 0.6:
        deal = world.open_deal()
        line = 40_000_000 + number
        made = of(deal, event("line_item.creation", at, number, objectId=line))
        return Happening("hubspot", made.body)
    contact = chance.choice(world.contacts)
    if chance.random() < 0.5:
        return of(contact, event("contact.restore", at, number, objectId=int(contact.id)))
    other = chance.choice(world.contacts)
    merged: Json = {
        "primaryObjectId": int(contact.id),
        "mergedObjectIds": [int(other.id)],
        "newObjectId": int(contact.id),
    }
    return of(contact, event("contact.merge", at, number, objectId=int(contact.id), **merged))


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
    "call": call,
    "surge": surge,
}
