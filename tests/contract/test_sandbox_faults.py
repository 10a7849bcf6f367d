"""Faults on demand, seen from the client's end of the wire."""

import http.client
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.sandbox import wire
from adapters.sandbox.control_client import Control, SandboxRefused
from adapters.sandbox.faults import Faults
from adapters.sandbox.server import SandboxServer

CONNECTION_LOST = (ConnectionError, http.client.HTTPException)


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def control(server: SandboxServer) -> Control:
    control = Control(server.url)
    control.reset()
    return control


def post_message(control: Control, timeout: float = 5.0) -> wire.Answer:
    body = b'{"channel": "C0DEALS01", "text": "hello"}'
    headers = {"Authorization": "Bearer xoxb-sandbox", "Content-Type": "application/json"}
    return wire.send("POST", f"{control.url}/slack/api/chat.postMessage", body, headers, timeout)


def owners(control: Control) -> wire.Answer:
    return wire.send("GET", f"{control.url}/hubspot/crm/v3/owners", headers={"Authorization": "Bearer sandbox-token"})


def until(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not check():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_latency_only_costs_time(control: Control) -> None:
    control.fault("hubspot", "latency", seconds=0.2, count=1)
    begun = time.monotonic()
    assert owners(control).status == 200
    assert time.monotonic() - begun >= 0.2


@pytest.mark.parametrize("after", [None, 7])
def test_rate_limit_with_and_without_retry_after(control: Control, after: int | None) -> None:
    control.fault("hubspot", "rate_limit", count=1, **({} if after is None else {"retry_after": after}))
    answer = owners(control)
    assert answer.status == 429
    assert answer.headers.get("retry-after") == (None if after is None else "7")
    assert answer.json()["errorType"] == "RATE_LIMIT"
    assert owners(control).status == 200


def test_errors_are_counted_and_can_wait_their_turn(control: Control) -> None:
    control.fault("hubspot", "error", status=502, count=2, skip=1)
    assert [owners(control).status for _ in range(4)] == [200, 502, 502, 200]
    (fault,) = control.call("GET", "faults")["faults"]
    assert fault["hits"] == 2


def test_a_fault_is_for_one_vendor_path_and_method(control: Control) -> None:
    control.fault("hubspot", "error", path="/crm/v3/objects/*", method="POST")
    control.fault("gong", "error")
    assert owners(control).status == 200
    assert post_message(control).status == 200
    answer = wire.send_json("POST", f"{control.url}/hubspot/crm/v3/objects/tasks", {})
    assert answer.status == 500


def test_nothing_is_done_when_the_connection_is_closed_at_once(control: Control) -> None:
    control.fault("slack", "close", count=1)
    with pytest.raises(CONNECTION_LOST):
        post_message(control)
    assert control.effects() == []


def test_after_the_effect_there_is_silence_and_the_effect_stays(control: Control) -> None:
    control.fault("slack", "timeout_after_effect", seconds=0.4, count=1)
    with pytest.raises(TimeoutError):
        post_message(control, timeout=0.15)
    assert len(control.effects("slack")) == 1


def test_after_the_effect_the_connection_closes(control: Control) -> None:
    control.fault("slack", "timeout_after_effect", count=1)
    with pytest.raises(CONNECTION_LOST):
        post_message(control)
    assert len(control.effects("slack")) == 1


def test_a_late_effect_lands_after_the_client_gave_up(control: Control) -> None:
    control.fault("slack", "late_effect", seconds=0.4, count=1)
    with pytest.raises(CONNECTION_LOST):
        post_message(control)
    assert control.effects() == []
    until(lambda: len(control.effects()) == 1)


def test_trying_again_blindly_shows_as_a_duplicate(control: Control) -> None:
    control.fault("slack", "timeout_after_effect", count=1)
    with pytest.raises(CONNECTION_LOST):
        post_message(control)
    post_message(control)
    (repeat,) = control.duplicates("slack")
    assert len(repeat["ids"]) == 2


def test_malformed_json_comes_after_the_effect(control: Control) -> None:
    control.fault("slack", "malformed", count=1)
    answer = post_message(control)
    assert answer.status == 200
    with pytest.raises(ValueError):
        answer.json()
    assert len(control.effects()) == 1


def test_an_outage_ends_by_itself() -> None:
    now = [1_000_000]
    faults = Faults(lambda: now[0])
    faults.add({"vendor": "hubspot", "kind": "outage", "lasts": 30})
    now[0] += 29_999
    assert faults.take("hubspot", "GET", "/crm/v3/owners") is not None
    now[0] += 1
    assert faults.take("hubspot", "GET", "/crm/v3/owners") is None


def test_an_outage_is_a_503_until_it_is_healed(control: Control) -> None:
    control.fault("*", "outage", lasts=60)
    assert owners(control).status == 503
    assert post_message(control).status == 503
    control.heal()
    assert owners(control).status == 200


@pytest.mark.parametrize(
    "described",
    [
        {"vendor": "hubspot", "kind": "gremlin"},
        {"vendor": "hubspto", "kind": "error"},
        {"vendor": "hubspot", "kind": "error", "cuont": 1},
        {"vendor": "hubspot", "kind": "outage"},
        {"kind": "error"},
    ],
)
def test_a_mistaken_fault_is_refused(control: Control, described: dict[str, Any]) -> None:
    with pytest.raises(SandboxRefused):
        control.call("POST", "faults", described)
    assert control.call("GET", "faults")["faults"] == []
