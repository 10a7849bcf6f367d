"""The simulated Gong API: selection, paging, limits."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.sandbox import wire
from adapters.sandbox.control_client import Control, SandboxRefused
from adapters.sandbox.scenarios import demo
from adapters.sandbox.server import SandboxServer

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
CALL = next(step for step in demo.story(NOW).steps if step.vendor == "gong")
CALL_ID = CALL.body["callData"]["metaData"]["id"]


@pytest.fixture
def control() -> Iterator[Control]:
    with SandboxServer() as server:
        control = Control(server.url)
        control.knobs(gong={"rate_limit": None})
        for method, path, body in CALL.changes:
            control.call(method, path, body)
        yield control


def call(control: Control, method: str, path: str, body: Any = None, secret: str = "sandbox-key-secret") -> wire.Answer:
    basic = base64.b64encode(f"sandbox-key:{secret}".encode()).decode()
    return wire.send_json(method, f"{control.url}/gong{path}", body, {"Authorization": f"Basic {basic}"})


def extensive(control: Control, **more: Any) -> wire.Answer:
    return call(control, "POST", "/v2/calls/extensive", {"filter": {"callIds": [CALL_ID]}} | more)


def test_only_what_is_asked_for_is_told(control: Control) -> None:
    (bare,) = extensive(control).json()["calls"]
    assert set(bare) == {"metaData"}
    exposed = {"parties": True, "content": {"trackers": True, "brief": True}}
    (rich,) = extensive(control, contentSelector={"context": "Basic", "exposedFields": exposed}).json()["calls"]
    assert rich["context"][0]["objects"][0] == {"objectType": "Deal", "objectId": "198765432101"}
    assert {party["affiliation"] for party in rich["parties"]} == {"External", "Internal"}
    assert set(rich["content"]) == {"trackers", "brief"}
    assert rich["content"]["trackers"][0]["phrases"] == [{"phrase": "Northwind", "count": 2}]


def test_the_full_call_equals_the_webhook(control: Control) -> None:
    content = dict.fromkeys(
        ("structure", "topics", "trackers", "trackerOccurrences", "pointsOfInterest", "brief"), True
    )
    selector = {"context": "Extended", "exposedFields": {"parties": True, "content": content}}
    (told,) = extensive(control, contentSelector=selector).json()["calls"]
    assert told == CALL.body["callData"]


def test_a_transcript_has_speakers_without_names(control: Control) -> None:
    answer = call(control, "POST", "/v2/calls/transcript", {"filter": {"callIds": [CALL_ID]}}).json()
    (spoken,) = answer["callTranscripts"]
    assert "Northwind" in spoken["transcript"][1]["sentences"][0]["text"]
    assert set(spoken["transcript"][0]) == {"speakerId", "topic", "sentences"}


def test_one_call_is_metadata_only(control: Control) -> None:
    answer = call(control, "GET", f"/v2/calls/{CALL_ID}")
    assert answer.json()["call"]["id"] == CALL_ID
    assert "content" not in answer.json()["call"]
    assert call(control, "GET", "/v2/calls/1").status == 404


def test_pages_follow_a_cursor(control: Control) -> None:
    control.knobs(gong={"page_size": 2})
    for number in range(4):
        made = {"metaData": {"id": str(number + 1), "started": f"2026-01-0{number + 1}T10:00:00Z"}}
        control.call("POST", "gong/calls", {"call": made})
    wanted = {"filter": {"fromDateTime": "2026-01-02T10:00:00Z", "toDateTime": "2026-01-05T00:00:00Z"}}
    first = call(control, "POST", "/v2/calls/extensive", wanted).json()
    assert first["records"]["totalRecords"] == 3
    rest = call(control, "POST", "/v2/calls/extensive", wanted | {"cursor": first["records"]["cursor"]}).json()
    assert [one["metaData"]["id"] for one in first["calls"] + rest["calls"]] == ["2", "3", "4"]
    assert "cursor" not in rest["records"]


def test_nothing_found_is_a_404_in_words(control: Control) -> None:
    answer = extensive(control, filter={"callIds": ["1"]})
    assert answer.status == 404
    assert set(answer.json()) == {"requestId", "errors"}


def test_the_key_is_checked(control: Control) -> None:
    assert call(control, "GET", f"/v2/calls/{CALL_ID}", secret="wrong").status == 401


def test_three_calls_a_second(control: Control) -> None:
    control.knobs(gong={"rate_limit": 3, "rate_seconds": 60})
    answers = [call(control, "GET", f"/v2/calls/{CALL_ID}") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["retry-after"] == "1"


def test_a_wrong_request_is_a_400(control: Control) -> None:
    assert call(control, "POST", "/v2/calls/extensive", {}).status == 400
    assert extensive(control, filter={"fromDateTime": "yesterday"}).status == 400
    with pytest.raises(SandboxRefused):
        control.call("POST", "gong/calls", {"call": {"metaData": {"id": "5"}}})
