"""Letters: nothing that came from outside becomes a header, and the mail server's answers become our errors."""

import email
import email.policy
import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.email.letter import letter
from adapters.email.messenger import build_messenger
from adapters.sandbox.mail import MailServer
from adapters.sandbox.world import World
from revpipe.errors import CredentialsRefused, Permanent, RevpipeError, Transient
from revpipe.local.sockets import free_port
from revpipe.messenger import Card

VECTORS = json.loads((Path(__file__).parent / "vectors/email_headers.json").read_text())
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SENDER = "approvals@revpipe.example"
CARD = Card(
    key="01970000-0000-7000-8000-000000000001",
    action_id=uuid.UUID("01970000-0000-7000-8000-000000000042"),
    version=2,
    type="draft_followup",
    params={"to": "ann@acme.example", "subject": "Hello", "body": "Dear Ann,\n<script>alert(1)</script>\n"},
    why="The close date moved",
    source="rule slipped",
    deal_id="1",
    deal_name="Hooli",
    asked="dana@revpipe.example",
    expires_at=NOW,
    at_expiry="then it is dropped",
    page="https://revpipe.example/console/approvals/1",
    link="https://revpipe.example/a/" + "t" * 43,
)
EXPECTED = ["From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted", "X-Auto-Response-Suppress"]


class Gate:
    """Lets everything pass and remembers how it ended."""

    def __init__(self) -> None:
        self.reported: list[RevpipeError | None] = []

    def spend(self, vendor: str, kind: str) -> None:
        pass

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        self.reported.append(error)


def read(raw: bytes) -> Any:
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=[case["name"] for case in VECTORS["cases"]])
@pytest.mark.parametrize("field", ["deal_name", "type", "deal_id"])
def test_no_value_becomes_a_header_of_its_own(case: Any, field: str) -> None:
    card = replace(CARD, deal_name=None) if field == "deal_id" else CARD
    message = letter(replace(card, **{field: case["value"]}), SENDER, "dana@revpipe.example", NOW)
    found = read(message.as_bytes())
    assert [name for name in found.keys() if name in EXPECTED] == EXPECTED  # noqa: SIM118
    assert "Bcc" not in found
    assert found["To"].addresses[0].addr_spec == "dana@revpipe.example"
    assert "\x00" not in message.as_string()


@pytest.mark.parametrize("case", VECTORS["recipients"], ids=[case["value"] for case in VECTORS["recipients"]])
def test_a_recipient_is_exactly_one_address(case: Any) -> None:
    if case["must"] == "accept":
        message = letter(CARD, SENDER, case["value"], NOW)
        assert [one.addr_spec for one in read(message.as_bytes())["To"].addresses] == [case["value"]]
        return
    with pytest.raises(Permanent):
        letter(CARD, SENDER, case["value"], NOW)


def test_both_bodies_say_the_same_and_nothing_comes_alive() -> None:
    found = read(letter(CARD, SENDER, "dana@revpipe.example", NOW).as_bytes())
    plain, html = found.get_body(("plain",)).get_content(), found.get_body(("html",)).get_content()
    for wanted in ("Dear Ann,", "The close date moved", "rule slipped"):
        assert wanted in plain
        assert wanted in html
    assert CARD.link in plain
    assert f'href="{CARD.link}"' in html
    assert "<script>" not in html
    assert "<img" not in html


def test_a_draft_of_a_megabyte_makes_no_letter_of_a_megabyte() -> None:
    huge = replace(CARD, params={"subject": "s" * 5000, "body": "ü\ud800" * 500_000}, deal_name="n" * 5000)
    assert len(letter(huge, SENDER, "dana@revpipe.example", NOW).as_bytes()) < 200_000


def test_each_version_has_a_name_of_its_own_and_the_same_always_the_same() -> None:
    names = [letter(replace(CARD, version=one), SENDER, "d@x.example", NOW)["Message-ID"] for one in (1, 2, 2)]
    assert names[0] != names[1] == names[2]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World) -> Any:
    with MailServer(world) as running:
        yield running


def messenger(url: str | None, gate: Gate, sender: str | None = SENDER) -> Any:
    return build_messenger(SimpleNamespace(smtp_url=url, mail_from=sender), gate)


def test_a_letter_is_handed_over_to_its_one_recipient(server: MailServer, world: World) -> None:
    gate = Gate()
    sent = messenger(server.url, gate).post(CARD, "dana@revpipe.example", None)
    (taken,) = world.mail
    assert (taken["from"], taken["to"]) == (SENDER, ["dana@revpipe.example"])
    assert dict(taken["headers"])["Message-ID"] == sent.ref
    assert gate.reported == [None]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(550, Permanent), (553, Permanent), (450, Transient), (421, Transient), (530, CredentialsRefused)],
)
def test_a_refusal_is_told_by_its_code(server: MailServer, world: World, code: int, kind: type[RevpipeError]) -> None:
    world.mail_knobs.refuse_with = code
    gate = Gate()
    with pytest.raises(kind) as caught:
        messenger(server.url, gate).post(CARD, "dana@revpipe.example", None)
    assert not getattr(caught.value, "ambiguous", False)
    assert gate.reported == [caught.value]
    assert world.mail == []


def test_a_break_behind_the_letter_leaves_doubt(server: MailServer, world: World) -> None:
    world.mail_knobs.cut_off = 1
    with pytest.raises(Transient) as caught:
        messenger(server.url, Gate()).post(CARD, "dana@revpipe.example", None)
    assert caught.value.ambiguous
    assert len(world.mail) == 1


def test_nobody_there_leaves_none() -> None:
    with pytest.raises(Transient) as caught:
        messenger(f"smtp://127.0.0.1:{free_port()}", Gate()).post(CARD, "dana@revpipe.example", None)
    assert not caught.value.ambiguous


def test_a_login_is_not_sent_where_none_is_offered(server: MailServer, world: World) -> None:
    with pytest.raises(CredentialsRefused):
        messenger(server.url.replace("//", "//user:pass%40word@"), Gate()).post(CARD, "d@x.example", None)
    assert world.mail == []


@pytest.mark.parametrize(("url", "sender"), [(None, SENDER), ("smtp://127.0.0.1:1", None)])
def test_without_settings_there_is_no_way_out(url: str | None, sender: str | None) -> None:
    with pytest.raises(CredentialsRefused):
        messenger(url, Gate(), sender).post(CARD, "dana@revpipe.example", None)
