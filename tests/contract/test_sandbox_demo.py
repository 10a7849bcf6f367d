"""The demo story: its records, its webhooks, and that the two agree."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.sandbox import signing, wire
from adapters.sandbox.control_client import Control
from adapters.sandbox.player import Player, moved
from adapters.sandbox.scenarios import demo
from adapters.sandbox.scenarios.people import ACME, GLOBEX, INITECH
from adapters.sandbox.scenarios.story import Step, Story
from adapters.sandbox.server import SandboxServer

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
SAME = ("occurredAt", "subscriptionType", "objectId", "propertyName", "propertyValue", "changeSource", "sourceId")
SAME += ("associationType", "fromObjectId", "toObjectId", "associationRemoved", "portalId", "appId")


@pytest.fixture
def story() -> Story:
    return demo.story(NOW)


@pytest.fixture
def control(story: Story) -> Iterator[Control]:
    with SandboxServer() as server:
        control = Control(server.url)
        control.seed(story.seed)
        yield control


class Target(ThreadingHTTPServer):
    """Stands where revpipe would and keeps what is posted."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keeps)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Keeps(BaseHTTPRequestHandler):
    server: Target

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(202)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def deal(control: Control, id: str, query: str) -> dict[str, Any]:
    url = f"{control.url}/hubspot/crm/v3/objects/deals/{id}?{query}"
    return wire.send("GET", url, headers={"Authorization": "Bearer sandbox-token"}).json()


def test_steps_are_in_order_within_a_fortnight(story: Story) -> None:
    times = [step.at for step in story.steps]
    assert times == sorted(times)
    assert NOW - timedelta(days=14) < times[0] < times[-1] < NOW
    assert {step.vendor for step in story.steps} == {"hubspot", "gong"}


def test_acme_is_due_soon_and_idle(control: Control) -> None:
    record = deal(control, ACME["deal"], "properties=amount,closedate,notes_last_updated,dealname&associations=tasks")
    values = record["properties"]
    assert (values["dealname"], values["amount"]) == ("Acme, platform renewal", "48000")
    assert values["closedate"] == "2026-12-01T00:00:00Z"
    assert datetime.fromisoformat(values["notes_last_updated"]) == NOW.replace(microsecond=123000) - timedelta(days=12)
    assert "associations" not in record


def test_the_buyer_names_the_competitor(story: Story) -> None:
    call = next(step for step in story.steps if step.vendor == "gong").body["callData"]
    speakers = {party["speakerId"]: party["affiliation"] for party in call["parties"]}
    (phrase,) = call["content"]["trackers"][0]["phrases"]
    assert phrase["phrase"] == "Northwind"
    assert {speakers[said["speakerId"]] for said in phrase["occurrences"]} == {"External"}
    assert call["context"][0]["objects"][0]["objectId"] == ACME["deal"]


CHANGING = [step.title for step in demo.story(NOW).steps if step.vendor == "hubspot" and step.changes]


@pytest.mark.parametrize("title", CHANGING)
def test_a_webhook_is_what_hubspot_would_send_for_the_change(control: Control, story: Story, title: str) -> None:
    step = next(step for step in story.steps if step.title == title)
    sent: list[Any] = []
    for method, path, body in step.changes:
        sent += control.call(method, path, body)["events"]
    told = [event for event in step.body if isinstance(event["occurredAt"], int)]
    assert [_kept(event) for event in told] == [_kept(event) for event in sent]


def _kept(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in SAME if name in event}


def test_the_whole_story_changes_the_records_and_is_signed(control: Control, story: Story, target: Target) -> None:
    private, _ = signing.gong_key_pair()
    player = Player(control.url, target.url, "hs-secret", private, public_url="https://rev.test", live=False)
    assert [player.play(step).status for step in story.steps] == [202] * len(story.steps)
    for (path, headers, body), step in zip(target.got, story.steps, strict=True):
        assert path == f"/webhooks/{step.vendor}"
        assert json.loads(body) == step.body
        if step.vendor == "hubspot":
            at = int(headers["x-hubspot-request-timestamp"])
            expected = signing.hubspot_v3("hs-secret", "POST", f"https://rev.test{path}", body, at)
            assert headers["x-hubspot-signature-v3"] == expected
        else:
            assert headers["authorization"].count(".") == 2
    history = deal(control, GLOBEX["deal"], "propertiesWithHistory=closedate,dealstage")["propertiesWithHistory"]
    dates = [entry["value"] for entry in history["closedate"]]
    assert len(dates) == 3
    assert dates == sorted(dates, reverse=True)
    assert [entry["value"] for entry in history["dealstage"]] == ["qualifiedtobuy", "contractsent", "qualifiedtobuy"]
    people = deal(control, INITECH["deal"], "associations=contacts")["associations"]["contacts"]["results"]
    assert INITECH["champion"] not in {person["id"] for person in people}
    assert len(people) == 1


def test_played_live_a_step_happens_now(control: Control, story: Story, target: Target) -> None:
    private, _ = signing.gong_key_pair()
    step = next(step for step in story.steps if step.title.startswith("Sam moves Globex back"))
    Player(control.url, target.url, "s", private).play(step)
    ((_, _, body),) = target.got
    event = json.loads(body)[0]
    assert abs(event["occurredAt"] / 1000 - datetime.now(UTC).timestamp()) < 30
    history = deal(control, GLOBEX["deal"], "propertiesWithHistory=dealstage")["propertiesWithHistory"]["dealstage"]
    assert abs(datetime.fromisoformat(history[0]["timestamp"]).timestamp() * 1000 - event["occurredAt"]) < 1


def test_played_live_a_duplicate_stays_one(control: Control, story: Story, target: Target) -> None:
    private, _ = signing.gong_key_pair()
    again = next(step for step in story.steps if step.note == "a duplicate")
    first = next(step for step in story.steps if step.at == again.at and step is not again)
    player = Player(control.url, target.url, "s", private)
    player.play(first)
    player.play(again)
    events = [json.loads(body)[0] for _, _, body in target.got]
    assert [event.pop("attemptNumber") for event in events] == [0, 1]
    assert events[0] == events[1]


def test_moving_a_step_moves_nothing_but_its_times(story: Story) -> None:
    step: Step = next(step for step in story.steps if step.vendor == "gong")
    later = moved(step, step.at + timedelta(days=3))
    began = datetime.fromisoformat(step.body["callData"]["metaData"]["started"])
    assert datetime.fromisoformat(later.body["callData"]["metaData"]["started"]) == began + timedelta(days=3)
    assert later.body["callData"]["parties"] == step.body["callData"]["parties"]


def test_the_noise_is_there(story: Story) -> None:
    events = [event for step in story.steps if step.vendor == "hubspot" for event in step.body]
    assert any(event["changeSource"] == "INTEGRATION" and event["sourceId"] == str(event["appId"]) for event in events)
    assert any(event["attemptNumber"] == 1 for event in events)
    assert any(event["subscriptionType"] == "deal.forecastRevision" for event in events)
    bodies = [step.body for step in story.steps if step.vendor == "hubspot"]
    (mixed,) = [body for body in bodies if any(not isinstance(event["occurredAt"], int) for event in body)]
    assert len(mixed) == 3


def test_as_a_process_it_says_where_it_is_and_ends_when_told() -> None:
    command = [sys.executable, "-W", "error", "-m", "adapters.sandbox", "--port", "0", "--scenario", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        assert word == "sandbox"
        assert deal(Control(url), ACME["deal"], "properties=dealname")["properties"]["dealname"].startswith("Acme")
        process.terminate()
        assert process.wait(timeout=10) == 0
