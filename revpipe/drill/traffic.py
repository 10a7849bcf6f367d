"""What the vendors send during a rehearsal: planned from the seed, so that the same seed tells the same stories."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

Json = dict[str, Any]
FIRST_DEAL: Final = 511_000_000_001
FIRST_CALL: Final = 7_700_000_000_000_000_001
OWNER: Final = "71234567"
_CHANNEL: Final = re.compile(r"\b[CG][A-Z0-9]{8,20}\b")
_ALERTS: Final = 12
"""Slack takes one message a second: a few steps that ask for an alert, and one more for every hundred signals."""


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody does at a vendor, and how the webhook about it travels.

    `at` is in seconds after the beginning. `changes` are calls to the sandbox's control API, whose events are sent;
    `call` is a Gong webhook. The delivery is held back `hold` seconds, and sent `repeats` times more.
    """

    at: float
    signals: int
    changes: tuple[tuple[str, str, Json], ...] = ()
    call: Json | None = None
    hold: float = 0.0
    repeats: int = 0


@dataclass(slots=True)
class Traffic:
    """`records` are there from the beginning; `steps` are in order of time and make about `signals` signals."""

    seed: int
    signals: int
    seconds: float
    channels: tuple[str, ...] = ()
    records: Json = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        chance = random.Random(f"traffic {self.seed}")
        deals = [str(FIRST_DEAL + number) for number in range(max(6, self.signals // 4))]
        kinds = {deal: chance.choices(("overdue", "idle", "quiet"), (5, 1, 4))[0] for deal in deals}
        self.records = {
            "hubspot": {"objects": [*_people(), *(_deal(deal, kinds[deal], chance) for deal in deals)]},
            "slack": {"channels": [{"id": one, "name": one.lower()} for one in self.channels]},
        }
        steps = list(_steps(self.signals, deals, chance))
        for number, step in enumerate(steps):
            at = self.seconds * number / max(1, len(steps) - 1)
            self.steps.append(Step(round(at, 2), step.signals, step.changes, step.call, *_way(chance)))


def channels_named(rules: str) -> tuple[str, ...]:
    """The ids of Slack channels in a rules file: the simulated workspace must have them too."""
    return tuple(sorted(set(_CHANNEL.findall(rules)) - {"C0DEALS01", "C0ALERTS1", "C0CLOSED1", "C0OLDDEAL"}))


def _way(chance: random.Random) -> tuple[float, int]:
    """How long a delivery is held back, so that later ones overtake it, and how often it is repeated."""
    hold = chance.uniform(0.5, 3.0) if chance.random() < 0.2 else 0.0
    repeats = chance.choice((1, 1, 2)) if chance.random() < 0.25 else 0
    return round(hold, 2), repeats


def _steps(signals: int, deals: list[str], chance: random.Random) -> Iterator[Step]:
    alerts = min(_ALERTS, signals // 15) + signals // 100
    told, number = 0, 0
    while told < signals:
        number += 1
        deal = chance.choice(deals)
        if alerts and chance.random() < 2 * alerts / max(1, signals - told):
            alerts -= 1
            step = _call(deal, number) if chance.random() < 0.5 else _cut(deal, number)
        elif chance.random() < 0.08:
            step = _import(deals, number, min(25, signals - told), chance)
        elif chance.random() < 0.05 and signals - told >= 6:
            step = _new_deal(number)
        else:
            step = _edits(deal, number, min(chance.choice((1, 1, 2, 3)), signals - told), chance)
        told += step.signals
        yield step


def _edits(deal: str, number: int, count: int, chance: random.Random) -> Step:
    """A person changes one to three properties of a deal."""
    values = {
        "hs_next_step": f"Step {number}",
        "dealname": f"Deal {deal[-4:]}, version {number}",
        "description": f"Note {number}",
        "hs_priority": chance.choice(("low", "medium", "high")),
    }
    names = chance.sample(("hs_next_step", "dealname", "description"), count)
    return _change(deal, {name: values[name] for name in names})


def _cut(deal: str, number: int) -> Step:
    """The amount falls to almost nothing."""
    return _change(deal, {"amount": str(10 + number % 50)})


def _import(deals: list[str], number: int, count: int, chance: random.Random) -> Step:
    """An import touches many deals at once: bulk signals, in one delivery."""
    chosen = chance.sample(deals, min(count, len(deals)))
    changes = tuple(
        _patch(deal, {"description": f"Import {number}"}, {"sourceType": "IMPORT", "sourceId": str(number)})
        for deal in chosen
    )
    return Step(0.0, len(chosen), changes)


def _new_deal(number: int) -> Step:
    """A deal is opened: its creation comes with a change for each property that it begins with."""
    values = {
        "dealname": f"New deal {number}",
        "amount": str(60_000 + number),
        "dealstage": "qualifiedtobuy",
        "pipeline": "default",
        "closedate": _day(45),
    }
    return Step(0.0, 6, (("POST", "hubspot/objects/deal", {"properties": values, "send": False}),))


def _call(deal: str, number: int) -> Step:
    """A call on which a competitor was named."""
    phrase = {"phrase": "Northwind", "count": 1, "occurrences": [{"startTime": 61.0, "speakerId": "1"}]}
    tracker = {"id": "56", "name": "Competitors", "count": 1, "type": "KEYWORD", "phrases": [phrase]}
    meta = {"id": str(FIRST_CALL + number), "title": f"Call {number}", "started": _ago(0.02), "duration": 900}
    objects = [{"objectType": "Deal", "objectId": deal, "timing": "Now", "fields": []}]
    body = {
        "metaData": meta,
        "context": [{"system": "HubSpot", "objects": objects}],
        "parties": [],
        "content": {"trackers": [tracker]},
    }
    return Step(0.0, 1, call={"callData": body, "isTest": False})


def _change(deal: str, values: Json) -> Step:
    return Step(0.0, len(values), (_patch(deal, values, {"userId": 11223344}),))


def _patch(deal: str, values: Json, author: Json) -> tuple[str, str, Json]:
    return "PATCH", f"hubspot/objects/deal/{deal}", {"properties": values, "send": False, **author}


def _deal(id: str, kind: str, chance: random.Random) -> Json:
    closes = {"overdue": _day(-6), "idle": _day(5), "quiet": _day(60)}[kind]
    values = {
        "dealname": f"Deal {id[-4:]}",
        "pipeline": "default",
        "dealstage": "presentationscheduled",
        "amount": str(chance.randrange(2_000, 20_000)),
        "deal_currency_code": "EUR",
        "hubspot_owner_id": OWNER,
        "closedate": closes,
        "notes_last_updated": _ago(15 if kind == "idle" else 1),
    }
    ties = [{"type": "company", "id": "611000000001", "primary": True}, {"type": "contact", "id": "711000000001"}]
    return {
        "type": "deal",
        "id": id,
        "createdAt": _ago(40),
        "properties": values,
        "associations": ties if chance.random() < 0.1 else [],
    }


def _people() -> list[Json]:
    company = {"name": "Acme Corporation", "domain": "acme.example", "industry": "MACHINERY"}
    contact = {"firstname": "Lee", "lastname": "Marsh", "email": "lee@acme.example", "jobtitle": "COO"}
    return [
        {"type": "company", "id": "611000000001", "properties": company},
        {"type": "contact", "id": "711000000001", "properties": contact},
    ]


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


def _day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).strftime("%Y-%m-%dT00:00:00Z")
