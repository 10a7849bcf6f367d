"""People asked for approvals by the simulated Slack and mail server, over real HTTP and SMTP."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from adapters.email.messenger import build_messenger as build_email
from adapters.sandbox.control_client import Control
from adapters.sandbox.mail import MailServer
from adapters.sandbox.server import SandboxServer
from adapters.slack.messenger import build_messenger as build_slack
from adapters.slack.presses import build_presses
from revpipe import approvals
from revpipe.messenger import Account, Card, Sent
from revpipe.notifying import run as notifying
from revpipe.notifying import telling
from revpipe.services import Services
from revpipe.web.app import create_app
from revpipe.work import Chunk
from tests.integration.conftest import MakeServices
from tests.integration.ledger_fixtures import FakeProvider, call, offer_due, put, rows, run_to, signal_id, take_messages
from tests.integration.people_fixtures import OWNER

DANA, SAM = "dana@revpipe.example", "sam@revpipe.example"
CHANNEL = "C0DEALS01"
DEAL = {"is_closed": False, "name": "Hooli <!channel> & <https://evil.example|Acme>", "stage": "contractsent", **OWNER}


class OpenGate:
    """Lets everything pass: rates and circuits have tests of their own."""

    def spend(self, vendor: str, kind: str) -> None:
        """There is always a token."""

    def report(self, vendor: str, kind: str, error: Any) -> None:
        """Nobody listens."""


class Nowhere:
    """A way to people that takes everything and shows it to nobody."""

    name, settle, changes = "slack", timedelta(0), True

    def account(self, email: str) -> Account | None:
        return Account("T1", f"U-{email}", f"D-{email}")

    def post(self, card: Card, place: str, thread: str | None) -> Sent:
        return Sent(place, card.key, thread)

    def find(self, card: Card, place: str, thread: str | None, since: datetime) -> Sent | None:
        return None

    def change(self, card: Card, sent: Sent) -> None:
        """Nobody sees it."""

    def whisper(self, place: str, user: str, text: str) -> None:
        """Nobody hears it."""


@dataclass
class Workspace:
    """The far side, and revpipe's services and web process on this side of it."""

    services: Services
    sandbox: SandboxServer
    mail: MailServer
    control: Control
    app: Flask
    url: str

    def ask(self, name: str = "a", deal: str | None = None) -> uuid.UUID:
        """Have a draft wait for a person; returns its action. A CRM update waits beside it."""
        event = call(name, deal or f"d-{name}", event="deal.stage_changed", payload={"property": "dealstage"})
        put(self.services, event)
        run_to(self.services, "execute")
        found = rows(
            self.services,
            "SELECT action_id FROM actions WHERE type = 'draft_followup' AND signal_id = :id",
            id=signal_id(name),
        )
        return uuid.UUID(str(found[0]["action_id"]))

    def tell(self) -> int:
        """What keeper and workers do until all is told that can be; returns how many chunks were worked."""
        worked = 0
        while True:
            telling.tell(self.services)
            notifying_offer(self.services)
            chunks = on_their_way(self.services)
            take_messages(self.services, "notify")
            for chunk in chunks:
                notifying.run(chunk, self.services)
            worked += len(chunks)
            if not chunks:
                return worked

    def messages(self, of: uuid.UUID | None = None) -> list[dict[str, Any]]:
        """The messages that stand in Slack, of one action if it is named."""
        found = self.control.call("GET", "slack/messages")["messages"]
        keys = {str(row["request_id"]) for row in requests(self.services) if of is None or row["action_id"] == of}
        return [one for one in found if one.get("metadata", {}).get("event_payload", {}).get("key") in keys]

    def message(self, of: uuid.UUID) -> dict[str, Any]:
        (found,) = self.messages(of)
        return found

    def whispers(self) -> list[str]:
        return [one["text"] for one in self.control.call("GET", "slack/messages")["whispers"]]

    def press(self, of: uuid.UUID, button: str, user: str = DANA) -> dict[str, Any]:
        """Press a button of the message of an action, as it stands now."""
        message = self.message(of)
        return self.press_at(message, button, user)

    def press_at(self, message: dict[str, Any], button: str, user: str = DANA) -> dict[str, Any]:
        where = {"channel": message["channel"], "ts": message["ts"], "user": user}
        return self.control.call("POST", "slack/press", {**where, "button": f"revpipe.{button}"})

    def submit(self, view: dict[str, Any], values: dict[str, str], user: str = DANA) -> dict[str, Any]:
        return self.control.call("POST", "slack/submit", {"view": view["id"], "values": values, "user": user})

    def letters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control.call("GET", "mail")["mail"]
        return found

    def view(self, action_id: uuid.UUID) -> approvals.View:
        with self.services.engine.begin() as tx:
            found = approvals.view(tx, action_id)
        assert found is not None
        return found


def notifying_offer(services: Services) -> None:
    """Send what is due, as the keeper does."""
    offer_due(services, QUEUES_OF_WAYS)


QUEUES_OF_WAYS = ("notify.slack.high", "notify.email.high", "notify.slack.quarantine", "notify.email.quarantine")


def on_their_way(services: Services) -> list[Chunk]:
    """The chunks that were sent and nobody has claimed."""
    found = rows(
        services,
        "SELECT request_id, send_no FROM approval_requests WHERE queue IS NOT NULL AND sent_at IS NOT NULL"
        " AND claim_id IS NULL ORDER BY send_no, request_id",
    )
    return [Chunk((row["request_id"],), row["send_no"]) for row in found]


def requests(services: Services) -> list[dict[str, Any]]:
    """All requests, the oldest first, without words in passing."""
    return rows(services, "SELECT * FROM approval_requests WHERE note IS NULL ORDER BY created_at, request_id")


def buttons(message: dict[str, Any]) -> list[str]:
    """The buttons of a message."""
    return [
        element["action_id"].removeprefix("revpipe.")
        for block in message["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]


def all_texts(value: Any) -> list[dict[str, Any]]:
    """Every text object within a message."""
    if isinstance(value, dict):
        here = [value] if value.get("type") in ("plain_text", "mrkdwn") else []
        return here + [one for item in value.values() for one in all_texts(item)]
    return [one for item in value for one in all_texts(item)] if isinstance(value, list) else []


@pytest.fixture(scope="session")
def far_side() -> Iterator[tuple[SandboxServer, MailServer]]:
    """The simulated vendors."""
    with SandboxServer() as server, MailServer(server.world) as mail:
        yield server, mail


@pytest.fixture
def workspace(
    make_services: MakeServices, provider: FakeProvider, far_side: tuple[SandboxServer, MailServer]
) -> Iterator[Workspace]:
    """A deployment whose approvers are in Slack and have e-mail."""
    server, mail = far_side
    control = Control(server.url)
    control.reset()
    provider.deal = DEAL
    base = make_services()
    settings = replace(
        base.settings,
        slack_bot_token="xoxb-sandbox",
        slack_default_channel=CHANNEL,
        slack_base_url=f"{server.url}/slack/api/",
        slack_signing_secret=("sandbox-signing-secret",),
        smtp_url=mail.url,
        mail_from="approvals@revpipe.example",
        public_url="http://revpipe.example",
    )
    gate = OpenGate()
    messengers = {"slack": build_slack(settings, gate), "email": build_email(settings, gate)}
    services = replace(base, settings=settings, messengers=messengers, presses=build_presses(settings, gate))
    app = create_app(services)
    web = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{web.server_port}"
    control.knobs(slack={"interactivity_url": f"{url}/webhooks/slack/interactions"})
    yield Workspace(services, server, mail, control, app, url)
    web.shutdown()
    thread.join()
    web.server_close()
