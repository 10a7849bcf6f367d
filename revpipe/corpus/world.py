"""The made-up portal that a corpus tells of: accounts, contacts and deals, and how their records read."""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe.corpus import mix

DAY: Final = timedelta(days=1)
_TASKS: Final = ("Send the offer", "Call back", "Set a realistic close date", "Competitive comparison")


@dataclass(slots=True)
class Account:
    """One company."""

    id: str
    name: str
    domain: str
    employees: int
    industry: str
    country: str
    owner_id: str
    is_target: bool
    deals: list["Deal"] = field(default_factory=list)
    contacts: list["Contact"] = field(default_factory=list)

    def part(self) -> dict[str, Any]:
        """The part `account`, as the CRM's adapter would give it."""
        return {
            "id": self.id,
            "name": self.name,
            "domain": self.domain,
            "industry": self.industry,
            "employees": self.employees,
            "annual_revenue": self.employees * 140_000.0,
            "country": self.country,
            "is_target": self.is_target,
            "open_deals": sum(not deal.is_closed for deal in self.deals),
            "owner_id": self.owner_id,
        }


@dataclass(slots=True)
class Contact:
    """One person."""

    id: str
    first: str
    last: str
    title: str
    lifecycle: str
    roles: list[str]
    account: Account

    def part(self) -> dict[str, Any]:
        """The part `contact`."""
        return {
            "id": self.id,
            "email": f"{self.first}.{self.last}@{self.account.domain}".lower(),
            "first_name": self.first,
            "last_name": self.last,
            "name": f"{self.first} {self.last}",
            "job_title": self.title,
            "lifecycle_stage": self.lifecycle,
            "buying_roles": list(self.roles),
            "account_id": self.account.id,
        }


@dataclass(slots=True)
class Deal:
    """One deal, and what its record was before; histories are newest first."""

    id: str
    name: str
    account: Account
    contacts: list[Contact]
    owner_id: str
    amount: float | None
    close_date: datetime
    created_at: datetime
    stages: list[tuple[int, datetime]]
    last_activity: datetime
    next_step: str | None
    tasks: list[str]
    dates: list[tuple[datetime, datetime]]
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stage(self) -> int:
        """The place of its present stage in the pipeline."""
        return self.stages[0][0]

    @property
    def is_closed(self) -> bool:
        """Whether it is won or lost."""
        return self.stage >= mix.WON

    def part(self) -> dict[str, Any]:
        """The part `deal`."""
        name, label = mix.STAGES[self.stage]
        return {
            "id": self.id,
            "name": self.name,
            "stage": name,
            "stage_label": label,
            "stage_order": self.stage,
            "pipeline": "default",
            "amount": self.amount,
            "currency": "EUR",
            "close_date": self.close_date.isoformat(),
            "created_at": self.created_at.isoformat(),
            "owner_id": self.owner_id,
            "owner_email": f"rep{self.owner_id}@revteam.example",
            "owner_name": f"Rep {self.owner_id}",
            "is_closed": self.is_closed,
            "is_won": self.stage == mix.WON,
            "entered_stage_at": self.stages[0][1].isoformat(),
            "last_activity_at": self.last_activity.isoformat(),
            "next_activity_at": None,
            "probability": round((self.stage + 1) / 6, 2) if self.stage <= mix.WON else 0.0,
            "next_step": self.next_step,
            "account_id": self.account.id,
            "contact_ids": [one.id for one in self.contacts],
            "stage_history": [
                {"stage": mix.STAGES[place][0], "order": place, "at": at.isoformat()} for place, at in self.stages
            ],
            "close_date_history": [{"value": to.isoformat(), "at": at.isoformat()} for to, at in self.dates],
            "open_tasks": [{"subject": one} for one in self.tasks],
        }


@dataclass(slots=True)
class World:
    """All records, and the chance that makes them: the same seed makes the same world."""

    chance: random.Random
    start: datetime
    accounts: list[Account] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)
    deals: list[Deal] = field(default_factory=list)
    _open: list[Deal] = field(default_factory=list)
    """The open ones in the same order; looking through all deals each time took the square of a corpus's length."""
    _next_id: int = 700_000_001

    def new_id(self) -> str:
        """The next CRM id."""
        self._next_id += self.chance.randint(1, 900)
        return str(self._next_id)

    def open_deal(self) -> Deal:
        """Some deal that is not closed."""
        return self.chance.choice(self._open or self.deals)

    def move(self, deal: Deal, stage: int, at: datetime) -> None:
        """Put a deal into another stage."""
        was_closed = deal.is_closed
        deal.stages.insert(0, (stage, at))
        if deal.is_closed != was_closed:
            self._open = [one for one in self.deals if not one.is_closed]

    def add_account(self) -> Account:
        """A new company."""
        chance, taken = self.chance, len(self.accounts)
        name = f"{mix.FIRST_WORDS[taken % 20]} {mix.LAST_WORDS[taken // 20 % 10]}"
        name += f" {taken // 200 + 1}" if taken >= 200 else ""
        made = Account(
            id=self.new_id(),
            name=name,
            domain=name.lower().replace(" ", "-") + ".example",
            employees=round(chance.lognormvariate(4.8, 1.2)),
            industry=chance.choice(mix.INDUSTRIES),
            country=chance.choice(mix.COUNTRIES),
            owner_id=str(chance.randint(11, 34)),
            is_target=chance.random() < 0.15,
        )
        self.accounts.append(made)
        return made

    def add_contact(self, account: Account) -> Contact:
        """A new person at a company."""
        chance = self.chance
        made = Contact(
            id=self.new_id(),
            first=chance.choice(mix.PEOPLE),
            last=chance.choice(mix.SURNAMES),
            title=chance.choice(mix.TITLES),
            lifecycle=chance.choice(("lead", "marketingqualifiedlead", "opportunity", "customer")),
            roles=[chance.choice(mix.ROLES)] if chance.random() < 0.3 else [],
            account=account,
        )
        self.contacts.append(made)
        account.contacts.append(made)
        return made

    def add_deal(self, account: Account, at: datetime, stage: int, age: timedelta) -> Deal:
        """A deal that is `age` old at a time and has come as far as `stage`."""
        chance, created = self.chance, at - age
        close = at + DAY * (chance.randint(1, 110) if chance.random() < 0.88 else -chance.randint(1, 25))
        steps = [(place, created + age * (place + 1) / (stage + 2)) for place in range(stage + 1)]
        pushes = chance.choices((0, 1, 2, 3), (62, 23, 10, 5))[0] if age > DAY else 0
        dates = [(close - DAY * 14 * (pushes - n), created + age * (n + 1) / (pushes + 2)) for n in range(pushes + 1)]
        made = Deal(
            id=self.new_id(),
            name=f"{account.name}, {chance.randint(5, 250)} seats",
            account=account,
            contacts=chance.sample(account.contacts, min(len(account.contacts), chance.randint(1, 3))),
            owner_id=str(chance.randint(11, 34)),
            amount=None if chance.random() < 0.06 else round(chance.lognormvariate(9.7, 0.9), -2),
            close_date=close,
            created_at=created,
            stages=steps[::-1],
            last_activity=at - _quiet(chance, age),
            next_step=chance.choice(mix.STEPS) if chance.random() < 0.45 else None,
            tasks=[chance.choice(_TASKS)] if chance.random() < 0.35 else [],
            dates=dates[::-1],
        )
        self.deals.append(made)
        if not made.is_closed:
            self._open.append(made)
        account.deals.append(made)
        return made


def make(seed: int, start: datetime, size: int) -> World:
    """A portal as it stands at `start`; `size` is about how many deals it has."""
    world = World(random.Random(seed), start)
    chance = world.chance
    for _ in range(max(20, size * 3 // 4)):
        account = world.add_account()
        for _ in range(chance.randint(1, 7)):
            world.add_contact(account)
    for _ in range(size):
        stage = chance.choices(range(7), (18, 16, 14, 9, 8, 20, 15))[0]
        world.add_deal(chance.choice(world.accounts), start, stage, DAY * chance.randint(3, 160))
    return world


def _quiet(chance: random.Random, age: timedelta) -> timedelta:
    """How long nobody has been in touch: days mostly, weeks for one deal in five."""
    days = chance.expovariate(1 / 4) if chance.random() < 0.8 else chance.uniform(11, 45)
    return min(DAY * days, age)
