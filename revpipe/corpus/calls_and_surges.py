"""What other vendors tell of the made-up portal: Gong's calls and Bombora's surges."""

from datetime import datetime, timedelta
from typing import Final

from revpipe.corpus import mix
from revpipe.corpus.happening import Happening, recent
from revpipe.corpus.world import World

TRACKER: Final = "Competitors"


def call(world: World, at: datetime, number: int) -> Happening:
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
        target="/webhooks/gong", calls=recent(deal) if deal else (),
    )  # fmt: skip
    if deal:
        deal.last_activity = at
        deal.calls.append({"call_id": str(number), "started_at": started.isoformat(), "competitors": rivals})
    return made


def surge(world: World, at: datetime, number: int) -> Happening:
    """A row of Bombora's weekly file. Half of the companies that research are none of ours."""
    chance = world.chance
    week = at.date() - timedelta(days=at.isoweekday() % 7)
    account = chance.choice(world.accounts) if chance.random() < 0.5 else None
    domain = account.domain if account else f"stranger-{number}.example"
    score = chance.choices((64, 71, 78, 86, 93), (34, 27, 20, 13, 6))[0]
    # The number keeps two rows about one company and topic of a week apart.
    row = f'{domain},"{chance.choice(mix.TOPICS)} {number % 97}",{score},{week}'
    return Happening("bombora", f"Domain,Topic,Composite Score,Date\n{row}\n", None, account, target="/imports/bombora")
