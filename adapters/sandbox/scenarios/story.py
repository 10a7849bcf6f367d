"""What a story is made of: records to begin with, and steps that people take at the vendors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.sandbox.times import iso, to_ms

Json = dict[str, Any]
PORTAL_ID = 24681357
APP_ID = 1357924
DANA = 11223344
SAM = 11223345


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody did, and the webhook that tells of it.

    `day` is a label ("12 days ago"), `vendor` whose webhook it is, `title` a sentence for people, `body` the
    webhook's JSON value. `changes` are the calls to the sandbox's control API (method, path, body) that make the
    vendor's records agree. `at` is when it happened. `note` says what to expect of it.
    """

    day: str
    vendor: str
    title: str
    body: Any
    at: datetime
    changes: tuple[tuple[str, str, Json], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """`seed` is for the control API's /seed; the steps are in order of time."""

    seed: Json
    steps: tuple[Step, ...]


@dataclass
class Teller:
    """Makes steps, counted in days before `now`."""

    now: datetime
    steps: list[Step] = field(default_factory=list)
    _number: int = 0

    def when(self, days: float) -> str:
        """ISO 8601 of so many days ago; negative is ahead."""
        return iso(to_ms(self._at(days)))

    def midnight(self, days: float) -> str:
        """The day that many days ago, as HubSpot keeps dates: midnight UTC."""
        return self._at(days).strftime("%Y-%m-%dT00:00:00Z")

    def event(self, days: float, kind: str, user: int = DANA, **more: Any) -> Json:
        """A HubSpot event of a person's doing; fields of `more` win, and None takes a field away."""
        self._number += 1
        event: Json = {
            "eventId": 1_300_000_000 + self._number * 7_919,
            "subscriptionId": 2_718_281 + self._number % 9,
            "portalId": PORTAL_ID,
            "appId": APP_ID,
            "occurredAt": to_ms(self._at(days)),
            "subscriptionType": kind,
            "attemptNumber": 0,
            "changeSource": "CRM_UI",
            "sourceId": f"userId:{user}",
        }
        return {name: value for name, value in (event | more).items() if value is not None}

    def edit(
        self,
        days: float,
        kind: str,
        id: str,
        title: str,
        values: Mapping[str, str],
        note: str = "",
        user: int = DANA,
    ) -> None:
        """Somebody changes properties of one record; dates are given as ISO and sent as milliseconds."""
        events = [
            self.event(
                days,
                f"{kind}.propertyChange",
                user,
                objectId=int(id),
                propertyName=name,
                propertyValue=_sent(name, value),
            )
            for name, value in values.items()
        ]
        change = {"properties": dict(values), "userId": user, "occurredAt": to_ms(self._at(days)), "send": False}
        changes = (("PATCH", f"hubspot/objects/{kind}/{id}", change),)
        self.tell(days, "hubspot", title, events, changes, note)

    def tell(
        self,
        days: float,
        vendor: str,
        title: str,
        body: Any,
        changes: tuple[tuple[str, str, Json], ...] = (),
        note: str = "",
    ) -> None:
        """Add a step."""
        label = "today" if days < 1 else "yesterday" if days < 2 else f"{int(days)} days ago"
        self.steps.append(Step(label, vendor, title, body, self._at(days), changes, note))

    def _at(self, days: float) -> datetime:
        at = self.now - timedelta(days=days)
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _sent(name: str, value: str) -> str:
    return str(to_ms(datetime.fromisoformat(value))) if name == "closedate" else value
