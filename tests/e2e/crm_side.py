"""The vendors' side: deals in the simulated CRM, what people do to them, and webhooks signed as the vendors sign."""

import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.sandbox import hubspot_account, signing, wire
from adapters.sandbox.control_client import Control
from adapters.sandbox.server import SandboxServer

Json = dict[str, Any]
SECRET: Final = "sandbox-secret"
IMPORT_TOKEN: Final = "sandbox-import-token"
CHANNEL: Final = "C0DEALS01"
OWNER: Final = "71234567"
OTHER_OWNER: Final = "71234568"
USER: Final = 11223344
COMPETITOR: Final = "Northwind"


def hubspot_headers(url: str, body: bytes, *, secret: str = SECRET, shift_s: float = 0.0) -> dict[str, str]:
    """A signed webhook's headers, signed `shift_s` seconds from now."""
    return signing.hubspot_headers(secret, url, body, int((time.time() + shift_s) * 1000))


@dataclass
class Vendors:
    """The simulated vendors in this process, and the keys that their webhooks are signed with."""

    server: SandboxServer
    gong_private: str
    gong_public: str
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(411_000_000_001))

    @property
    def control(self) -> Control:
        """The sandbox's own API."""
        return Control(self.server.url)

    @property
    def hubspot_settings(self) -> dict[str, str]:
        """What the worker of HubSpot needs, and no more."""
        return {"HUBSPOT_BASE_URL": f"{self.server.url}/hubspot", "HUBSPOT_ACCESS_TOKEN": "sandbox-token"}

    @property
    def slack_settings(self) -> dict[str, str]:
        """What the worker of Slack needs, and no more."""
        url = f"{self.server.url}/slack/api/"
        return {"SLACK_BASE_URL": url, "SLACK_BOT_TOKEN": "xoxb-sandbox", "SLACK_DEFAULT_CHANNEL": CHANNEL}

    def web_settings(self, public_url: str) -> dict[str, str]:
        """What the web process needs, and no more."""
        return {
            "PUBLIC_URL": public_url,
            "HUBSPOT_CLIENT_SECRET": SECRET,
            "HUBSPOT_APP_ID": "1357924",
            "HUBSPOT_PORTAL_ID": "24681357",
            "GONG_WEBHOOK_PUBLIC_KEY": self.gong_public,
            "IMPORT_TOKENS": IMPORT_TOKEN,
        }

    def new_id(self) -> str:
        """An id that no record has."""
        return str(next(self._ids))

    def overdue_deals(self, count: int) -> list[str]:
        """Deals past their close date with recent activity: any change of theirs asks for one task and no draft."""
        values = {"closedate": _day(-6), "notes_last_updated": _ago(1), "amount": "9000"}
        return self._plant([_deal(self.new_id(), f"Overdue {number}", values) for number in range(count)])

    def idle_deal(self, name: str) -> str:
        """A deal about to close that nobody has touched: any change of it asks for a task and a draft."""
        values = {"closedate": _day(5), "notes_last_updated": _ago(15), "amount": "12000"}
        return self._plant([_deal(self.new_id(), name, values)])[0]

    def quiet_deal(self, name: str) -> str:
        """A deal in good order: no change of it asks for anything, unless a call does."""
        values = {"closedate": _day(60), "notes_last_updated": _ago(1), "amount": "7000"}
        return self._plant([_deal(self.new_id(), name, values)])[0]

    def edit(self, deal_id: str, **values: str) -> list[Json]:
        """Somebody changes a deal: the events of it, which the caller sends."""
        return self.control.edit("deal", deal_id, values, send=False, userId=USER)

    def call(self, deal_id: str, **content: Any) -> Json:
        """A Gong webhook of a call that has just ended, about one deal."""
        number = self.new_id()
        started = datetime.now(UTC) - timedelta(minutes=20)
        meta = {"id": number, "title": "Renewal talk", "started": started.isoformat(), "duration": 900}
        objects = [{"objectType": "Deal", "objectId": deal_id, "timing": "Now", "fields": []}]
        call = {"metaData": meta, "context": [{"system": "HubSpot", "objects": objects}], "parties": []}
        return {"callData": {**call, "content": content}, "isTest": False}

    def done(self, kind: str, deal_ids: Sequence[str]) -> list[Json]:
        """The effects of a kind (`tasks.create`) that hang on these deals, repeats included."""
        wanted = set(deal_ids)
        return [one for one in self.control.effects() if one["kind"] == kind and wanted & set(targets(one["body"]))]

    def _plant(self, deals: list[Json]) -> list[str]:
        ids: list[str] = self.control.seed({"hubspot": {"objects": deals}})["hubspot"]
        return ids


def seeded(server: SandboxServer) -> Vendors:
    """HubSpot, Gong and Slack with the people of these tests; without limits of their own, for ours are tested."""
    private, public = signing.gong_key_pair()
    made = Vendors(server, private, public)
    owners = [
        hubspot_account.owner(id, USER, f"{name}@seller.example".lower(), name, "Ruiz")
        for id, name in ((OWNER, "Vera"), (OTHER_OWNER, "Ivo"))
    ]
    made.control.seed(
        {
            "hubspot": {"owners": owners},
            "knobs": {"hubspot": {"rate_limit": None, "search_rate_limit": None}},
            "slack": {"channels": [{"id": CHANNEL, "name": "deals"}]},
        }
    )
    return made


@dataclass(frozen=True)
class Doorstep:
    """Where webhooks are posted: `public_url` is what the vendors sign."""

    url: str
    vendors: Vendors
    public_url: str | None = None

    def hubspot(self, events: Sequence[Json]) -> wire.Answer:
        """Post events, signed now."""
        return self.hubspot_bytes(json.dumps(list(events), separators=(",", ":")).encode())

    def hubspot_bytes(self, body: bytes, headers: Mapping[str, str] | None = None) -> wire.Answer:
        """Post a body, signed now unless `headers` are given."""
        signed = f"{self.public_url or self.url}/webhooks/hubspot"
        return wire.send(
            "POST", f"{self.url}/webhooks/hubspot", body, hubspot_headers(signed, body) if headers is None else headers
        )

    def gong(self, webhook: Json, *, key: str | None = None, lasts: int = 600, about: bytes = b"") -> wire.Answer:
        """Post a call, signed with Gong's key unless another is given; `about` is signed in place of the body."""
        body = json.dumps(webhook).encode()
        url = f"{self.public_url or self.url}/webhooks/gong"
        token = signing.gong_jwt(key or self.vendors.gong_private, url, about or body, int(time.time()) + lasts)
        headers = {"Content-Type": "application/json", "Authorization": token}
        return wire.send("POST", f"{self.url}/webhooks/gong", body, headers)


def competitor(name: str = COMPETITOR) -> Json:
    """The content of a call on which a competitor was named."""
    phrase = {"phrase": name, "count": 1, "occurrences": [{"startTime": 61.0, "speakerId": "1"}]}
    return {"trackers": [{"id": "56", "name": "Competitors", "count": 1, "type": "KEYWORD", "phrases": [phrase]}]}


def targets(body: Json) -> list[str]:
    """The ids that a created record hangs on."""
    return [str(one["to"]["id"]) for one in body.get("associations") or [] if isinstance(one, dict)]


def _deal(id: str, name: str, values: Json) -> Json:
    usual = {"pipeline": "default", "dealstage": "presentationscheduled", "hubspot_owner_id": OWNER}
    return {
        "type": "deal",
        "id": id,
        "createdAt": _ago(40),
        "properties": {"dealname": name, "deal_currency_code": "EUR", **usual, **values},
    }


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


def _day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).strftime("%Y-%m-%dT00:00:00Z")
