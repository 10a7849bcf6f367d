"""Requests for approval in Slack, over real HTTP: accepted by its OpenAPI file, its SDK's models, and the simulated
workspace."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.models.metadata import Metadata
from slack_sdk.models.views import View
from slack_sdk.signature import Clock, SignatureVerifier

from adapters.sandbox import signing
from adapters.sandbox.control_client import Control
from adapters.sandbox.server import SandboxServer
from adapters.slack import forms
from adapters.slack.cards import blocks_of, text_of
from adapters.slack.messenger import SlackMessenger, build_messenger
from adapters.slack.presses import SlackPresses, build_presses
from adapters.slack.signature import verify
from revpipe.errors import BadPayload, Permanent, SourceNotConfigured, Transient, Unauthorised
from revpipe.messenger import Card, Press

SPEC = json.loads((Path(__file__).parent / "specs/slack/slack_web_openapi_v2.cut.json").read_text())
VECTORS = json.loads((Path(__file__).parent / "vectors/slack_v0.json").read_text())["cases"]
NEWER = {"metadata", "include_all_metadata"}
"""Parameters that Slack documents, but that came after its last OpenAPI file."""
DANA = "dana@revpipe.example"
EVIL = "<!channel> & <https://evil.example|Acme> *bold* `code`"
CARD = Card(
    key="01970000-0000-7000-8000-000000000001",
    action_id=uuid.UUID("01970000-0000-7000-8000-000000000042"),
    version=3,
    type="draft_followup",
    params={"to": "ann@acme.example", "subject": EVIL, "body": f"Hello\n{EVIL}", "notes": {"a": 1}, "n": 50000.0},
    why=EVIL,
    source="rule slipped",
    deal_id="1",
    deal_name=EVIL,
    asked=DANA,
    expires_at=datetime(2026, 5, 4, 17, tzinfo=UTC),
    at_expiry="then it is dropped",
    risk="low",
    editable=("to", "subject", "body"),
    edited="ann@example.com by console",
    page="https://revpipe.example/console/approvals/1",
)
HUGE = replace(
    CARD,
    params={**{f"f{n}": "y" * 100 for n in range(40)}, **{f"t{n}": "ü😀" * 400_000 for n in range(20)}},
    why="w" * 100_000,
    deal_name="d" * 10_000,
    source="s" * 5000,
    edited="e" * 5000,
    asked="a" * 5000,
    editable=tuple(f"f{n}" for n in range(40)),
    page="https://revpipe.example/" + "p" * 5000,
)
OVER = replace(CARD, outcome="Approved by ann@example.com by console at 2026-05-04 14:02 UTC.")


class Gate:
    """Lets everything pass and remembers it."""

    def __init__(self) -> None:
        self.spent: list[str] = []

    def spend(self, vendor: str, kind: str) -> None:
        self.spent.append(f"{vendor} {kind}")

    def report(self, vendor: str, kind: str, error: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Any:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def control(server: SandboxServer) -> Control:
    control = Control(server.url)
    control.reset()
    return control


@pytest.fixture
def gate() -> Gate:
    return Gate()


def settings(url: str, **more: Any) -> Any:
    known = {
        "slack_bot_token": "xoxb-sandbox",
        "slack_default_channel": None,
        "slack_base_url": f"{url}/slack/api/",
        "slack_signing_secret": ("s",),
        "slack_app_id": None,
        "slack_team_id": None,
    }
    return SimpleNamespace(**{**known, **more})


@pytest.fixture
def slack(control: Control, gate: Gate) -> SlackMessenger:
    return build_messenger(settings(control.url), gate)


@pytest.fixture
def presses(control: Control, gate: Gate) -> SlackPresses:
    return build_presses(settings(control.url), gate)


@pytest.mark.parametrize("card", [CARD, HUGE, OVER, replace(CARD, params={}, why="", deal_name=None, deal_id=None)])
def test_a_card_is_what_slacks_sdk_would_send(card: Card) -> None:
    blocks = blocks_of(card)
    assert len(blocks) <= 50
    parsed = Block.parse_all(blocks)
    for block in parsed:
        block.validate_json()
    assert [block.to_dict() for block in parsed] == blocks
    assert len(text_of(card)) <= 3000


@pytest.mark.parametrize(
    "card", [CARD, HUGE, replace(CARD, params={}, editable=()), replace(CARD, editable=("notes",))]
)
def test_a_form_is_what_slacks_sdk_would_send(card: Card) -> None:
    for made in (forms.edit_form(card), forms.reject_form(card), forms.told("x" * 5000)):
        view = View(**made)
        view.validate_json()
        assert view.to_dict() == made
        for block in Block.parse_all(made["blocks"]):
            block.validate_json()


def test_whatever_a_crm_holds_stands_in_plain_text() -> None:
    for text in texts(blocks_of(CARD)):
        assert text["type"] == "plain_text" or ("evil" not in text["text"] and "<!channel" not in text["text"])
    assert "<!channel>" not in text_of(CARD)
    assert "&lt;!channel&gt;" in text_of(CARD)


def test_without_an_outcome_there_are_buttons_and_with_one_only_the_page() -> None:
    def named(card: Card) -> list[str]:
        return [
            one["action_id"] for block in blocks_of(card) for one in block.get("elements", ()) if "action_id" in one
        ]

    assert named(CARD) == ["revpipe.approve", "revpipe.edit", "revpipe.reject", "revpipe.open"]
    assert named(OVER) == ["revpipe.open"]
    assert named(replace(OVER, page=None)) == []


@pytest.mark.parametrize(
    "params",
    [
        {"body": "x" * 3000},
        {"body": "😀" * 1500},
        {f"f{n}": "y" for n in range(11)},
        {f"t{n}": "two\nlines" for n in range(9)},
    ],
)
def test_what_is_not_shown_whole_can_be_rejected_and_not_approved(params: dict[str, str]) -> None:
    blocks = blocks_of(replace(CARD, params=params))
    named = [one["action_id"] for block in blocks for one in block.get("elements", ()) if "action_id" in one]
    assert named == ["revpipe.reject", "revpipe.open"]
    assert any("too long to be shown whole" in text["text"] for text in texts(blocks))


def test_a_form_that_could_not_hold_all_of_it_can_not_be_sent() -> None:
    view = forms.edit_form(replace(CARD, params={"subject": "s", "body": "x" * 3001}))
    assert "submit" not in view
    assert {block["type"] for block in view["blocks"]} == {"section"}


def test_a_post_and_a_change_are_what_the_openapi_file_allows(
    slack: SlackMessenger, control: Control, server: SandboxServer
) -> None:
    sent = slack.post(CARD, "C0DEALS01", None)
    reply = slack.post(replace(CARD, key="k2"), "C0DEALS01", sent.ref)
    slack.change(OVER, sent)
    slack.whisper("C0DEALS01", "U0DANA001", EVIL)
    first, second = server.world.slack.channels["C0DEALS01"].messages
    assert (first["ts"], second["ts"], second["thread_ts"]) == (sent.ref, reply.ref, sent.ref)
    assert first["blocks"] == blocks_of(OVER)
    assert first["_before"][0]["blocks"] == blocks_of(CARD)
    Metadata(**first["metadata"]).validate_json()
    assert server.world.slack.whispers[0]["text"].startswith("&lt;!channel&gt;")
    for effect in control.effects("slack"):
        path = "/chat.postMessage" if effect["kind"] == "message" else "/chat.update"
        known = {item["name"] for item in SPEC["paths"][path]["post"]["parameters"]}
        assert set(effect["body"]) - {"subtype"} <= known | NEWER


@pytest.mark.parametrize("thread", [False, True])
def test_what_was_posted_is_found_by_its_key(slack: SlackMessenger, control: Control, *, thread: bool) -> None:
    since = datetime.now(UTC)
    root = slack.post(replace(CARD, key="root"), "C0DEALS01", None).ref if thread else None
    assert slack.find(CARD, "C0DEALS01", root, since) is None
    control.fault("slack", "malformed", count=1, path="/chat.postMessage")
    with pytest.raises(Transient) as caught:
        slack.post(CARD, "C0DEALS01", root)
    assert caught.value.ambiguous
    found = slack.find(CARD, "C0DEALS01", root, since)
    assert found is not None
    assert (found.place, found.thread) == ("C0DEALS01", root)
    assert slack.find(CARD, "C0DEALS01", root, since + timedelta(minutes=5)) is None


def test_who_has_an_e_mail_confirmed_is_who_they_are(slack: SlackMessenger, control: Control, gate: Gate) -> None:
    account = slack.account(DANA)
    assert account is not None
    assert (account.team, account.user, account.place) == ("T0SANDBOX", "U0DANA001", "D0DANA001")
    assert slack.account("nobody@revpipe.example") is None
    control.knobs(slack={"unconfirmed": [DANA]})
    assert slack.account(DANA) is None
    control.knobs(slack={"unconfirmed": [], "gone": [DANA]})
    assert slack.account(DANA) is None
    assert set(gate.spent) == {"slack lookup"}


def test_a_form_opens_once_and_only_for_a_while(presses: SlackPresses, server: SandboxServer, control: Control) -> None:
    trigger = server.world.slack.trigger("U0DANA001")
    press = Press("edit", b"f", "T0SANDBOX", "U0DANA001", CARD.action_id, 3, trigger)
    presses.open_form(press, CARD)
    (view,) = server.world.slack.views.values()
    assert view["private_metadata"] == f"{CARD.action_id}:3"
    for bad in (press, replace(press, trigger=None), replace(press, trigger="x")):
        with pytest.raises(Permanent):
            presses.open_form(bad, CARD)
    control.fault("slack", "latency", seconds=5, count=1, path="/views.open")
    with pytest.raises(Transient):
        presses.open_form(replace(press, trigger=server.world.slack.trigger("U0DANA001")), CARD)


class At(Clock):
    """The clock of Slack's own verifier, set to a vector's time."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now

    def now(self) -> float:
        return self._now


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_the_signature_of_every_vector_is_judged_right(case: Any) -> None:
    body = case["body"].encode() if "body" in case else bytes.fromhex(case["body_hex"])
    headers = {"x-slack-request-timestamp": case["timestamp"], "x-slack-signature": case["signature"]}
    headers = {name: value for name, value in headers.items() if value is not None}
    now = datetime.fromtimestamp(case["now"], UTC)
    try:
        accepted = bool(verify(("an older one", case["signing_secret"]), body, headers, now))
    except Unauthorised:
        accepted = False
    assert accepted is case["accept"]
    if accepted:
        assert SignatureVerifier(case["signing_secret"], At(case["now"])).is_valid_request(body, headers)


def test_the_traps_of_a_signature_are_refusals_and_no_errors() -> None:
    now = datetime.now(UTC)
    for stamp, signature in (("x", "v0=1"), ("١٧٤٧", "v0=1"), ("-5", "v0=1"), ("9" * 40, "v0=1"), ("1747000000", "é")):
        headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
        with pytest.raises(Unauthorised):
            verify(("s",), b"\xff\xfe", headers, now)
    with pytest.raises(Unauthorised):
        verify(("s",), b"", {}, now)
    with pytest.raises(SourceNotConfigured):
        verify((), b"", {}, now)


def test_an_unreadable_press_is_told_apart_from_a_forged_one(presses: SlackPresses) -> None:
    now = datetime.now(UTC)
    for body in (b"payload=%7B", b"payload=1", b"\xff"):
        headers = signing.slack_headers("s", body, int(now.timestamp()))
        with pytest.raises(BadPayload):
            presses.read(body, {name.lower(): value for name, value in headers.items()}, now)
    body = b"ssl_check=1&token=x"
    headers = signing.slack_headers("s", body, int(now.timestamp()))
    assert presses.read(body, {name.lower(): value for name, value in headers.items()}, now).kind == "other"


def texts(value: Any) -> list[dict[str, Any]]:
    """Every text object within."""
    if isinstance(value, dict):
        here = [value] if value.get("type") in ("plain_text", "mrkdwn") else []
        return here + [one for item in value.values() for one in texts(item)]
    return [one for item in value for one in texts(item)] if isinstance(value, list) else []
