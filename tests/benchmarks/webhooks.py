"""What is sent: HubSpot's webhooks, signed as HubSpot signs them, and rows of an intent file. Nothing of ours signs."""

import base64
import hashlib
import hmac
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from tests.benchmarks.crm_deals import OVERDUE, QUIET, company_id, deal_id

PORTAL: Final = 24681357
SECRET: Final = "bench-secret"
IMPORT_TOKEN: Final = "bench-import"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which events are sent. Every `act_every`th leads to one action (0: none does), all others to nothing.

    `first` is the number of the first signal of the run, `deals` how many deals the signals are about (0: each
    about one of its own), `kind` what the deals are that lead to an action. `per_request` events travel together.
    """

    signals: int
    per_request: int = 1
    act_every: int = 1
    first: int = 0
    deals: int = 0
    kind: int = OVERDUE
    field: str = "description"
    change_source: str = "CRM_UI"
    companies: bool = False
    """Rows of an intent file, about companies; of one company come as many rows as lead to one action."""

    @property
    def requests(self) -> int:
        """How many requests carry the signals."""
        return -(-self.signals // self.per_request)

    @property
    def effects(self) -> int:
        """How many actions the signals lead to."""
        return -(-self.signals // self.act_every) if self.act_every else 0

    def subject(self, number: int) -> int:
        """The deal (of a row: the company) of one signal, 0 being the first."""
        if self.companies:
            return company_id(self.first + number // max(1, self.act_every))
        kind = self.kind if self.act_every and number % self.act_every == 0 else QUIET
        return deal_id(self.first + (number % self.deals if self.deals else number), kind)

    def acting(self) -> set[int]:
        """The deals or companies that get a task."""
        return {self.subject(number) for number in range(0, self.signals, self.act_every)} if self.act_every else set()

    def as_dict(self) -> dict[str, Any]:
        """For the way to another process."""
        return asdict(self)


def event(traffic: Traffic, number: int, now_ms: int) -> dict[str, Any]:
    """One event as HubSpot sends it (HubSpot docs, webhooks): a person changed a property of a deal."""
    return {
        "eventId": traffic.first + number + 1,
        "subscriptionId": 2376216,
        "portalId": PORTAL,
        "appId": 1357924,
        "occurredAt": now_ms,
        "subscriptionType": "deal.propertyChange",
        "attemptNumber": 0,
        "objectId": traffic.subject(number),
        "propertyName": traffic.field,
        "propertyValue": "12000" if traffic.field == "amount" else f"note {traffic.first + number}",
        "changeSource": traffic.change_source,
        "sourceId": "userId:11223344",
    }


def requests(traffic: Traffic, url: str) -> list[bytes]:
    """All requests, ready for the wire. Signed now: a signature is good for five minutes."""
    now_ms = int(time.time() * 1000)
    made = []
    for start in range(0, traffic.signals, traffic.per_request):
        numbers = range(start, min(start + traffic.per_request, traffic.signals))
        made.append(post(url, orjson.dumps([event(traffic, number, now_ms) for number in numbers]), now_ms))
    return made


def post(url: str, body: bytes, now_ms: int, *, secret: str = SECRET) -> bytes:
    """One POST with HubSpot's v3 signature over method, address, body and time (HubSpot docs, validating requests)."""
    stamp = str(now_ms)
    digest = hmac.digest(secret.encode(), b"POST" + url.encode() + body + stamp.encode(), hashlib.sha256)
    host, _, path = url.removeprefix("http://").partition("/")
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-HubSpot-Request-Timestamp: {stamp}\r\nX-HubSpot-Signature-v3: {base64.b64encode(digest).decode()}\r\n\r\n"
    )
    return head.encode() + body
