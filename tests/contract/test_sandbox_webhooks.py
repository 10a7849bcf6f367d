"""Webhook deliveries of the simulated HubSpot, received by a small server of the test's own."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.sandbox import signing, wire
from adapters.sandbox.control_client import Control
from adapters.sandbox.server import SandboxServer


class Receiver(ThreadingHTTPServer):
    """Keeps every delivery; answers with the statuses it was given, then 202."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/webhooks/hubspot"

    def batches(self) -> list[list[dict[str, Any]]]:
        return [json.loads(body) for _, body in self.got]


class _Answers(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def control() -> Iterator[Control]:
    with SandboxServer() as server:
        yield Control(server.url)


def edited(control: Control, count: int) -> list[dict[str, Any]]:
    """Events of so many changes, waiting to be sent."""
    (id,) = control.call("POST", "hubspot/objects", {"type": "deal", "properties": {"amount": "0"}})["ids"]
    for number in range(count):
        control.edit("deal", id, {"amount": str(number + 1)}, occurredAt=1_780_000_000_000 + number)
    return control.call("GET", "hubspot/events")["events"]


def until(check: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_delivery_is_signed_shuffled_and_complete(control: Control, receiver: Receiver) -> None:
    waiting = edited(control, 30)
    answer = control.call("POST", "hubspot/deliver", {"target_url": receiver.url, "secret": "s3"})
    assert [post["status"] for post in answer["posts"]] == [202]
    ((headers, body),) = receiver.got
    at = int(headers["x-hubspot-request-timestamp"])
    assert headers["x-hubspot-signature-v3"] == signing.hubspot_v3("s3", "POST", receiver.url, body, at)
    sent = json.loads(body)
    key = "occurredAt"
    assert sorted(sent, key=lambda event: event[key]) == sorted(waiting, key=lambda event: event[key])
    assert sent != waiting
    assert control.call("GET", "hubspot/events")["events"] == []


def test_batches_hold_100_events_at_most(control: Control, receiver: Receiver) -> None:
    event = {"eventId": 1, "occurredAt": 1, "subscriptionType": "deal.creation", "attemptNumber": 0}
    control.call("POST", "hubspot/deliver", {"target_url": receiver.url, "events": [event] * 201})
    assert [len(batch) for batch in receiver.batches()] == [100, 100, 1]


def test_repeats_count_their_attempts(control: Control, receiver: Receiver) -> None:
    edited(control, 2)
    control.call("POST", "hubspot/deliver", {"target_url": receiver.url, "repeats": 1})
    first, again = receiver.batches()
    assert [event["attemptNumber"] for event in first + again] == [0, 0, 1, 1]
    assert [event["eventId"] for event in first] == [event["eventId"] for event in again]


def test_times_and_event_ids_can_be_made_to_collide(control: Control, receiver: Receiver) -> None:
    edited(control, 3)
    wishes = {"target_url": receiver.url, "equal_time": True, "reuse_event_id": True}
    control.call("POST", "hubspot/deliver", wishes)
    (batch,) = receiver.batches()
    assert {event["occurredAt"] for event in batch} == {1_780_000_000_000}
    assert len({event["eventId"] for event in batch}) == 1
    assert len({event["propertyValue"] for event in batch}) == 3


def test_another_url_can_be_signed_than_is_posted_to(control: Control, receiver: Receiver) -> None:
    edited(control, 1)
    public = "https://hooks.revpipe.test/webhooks/hubspot"
    control.call("POST", "hubspot/deliver", {"target_url": receiver.url, "secret": "s", "public_url": public})
    ((headers, body),) = receiver.got
    at = int(headers["x-hubspot-request-timestamp"])
    assert headers["x-hubspot-signature-v3"] == signing.hubspot_v3("s", "POST", public, body, at)


def test_nobody_there_is_told(control: Control) -> None:
    edited(control, 1)
    answer = control.call("POST", "hubspot/deliver", {"target_url": "http://127.0.0.1:9/webhooks/hubspot"})
    assert answer["posts"][0]["status"] is None


def test_with_a_target_events_go_out_by_themselves_until_taken(control: Control, receiver: Receiver) -> None:
    receiver.statuses += [500, 401]
    control.knobs(hubspot={"target_url": receiver.url, "retry_delays": [0.05] * 10})
    edited(control, 1)
    until(lambda: len(receiver.got) == 3)
    time.sleep(0.2)
    attempts = [batch[0]["attemptNumber"] for batch in receiver.batches()]
    assert attempts == [0, 1, 2]
    assert len({batch[0]["eventId"] for batch in receiver.batches()}) == 1


def test_our_own_write_goes_out_as_an_echo(control: Control, receiver: Receiver) -> None:
    (id,) = control.call("POST", "hubspot/objects", {"type": "deal", "properties": {"amount": "1"}})["ids"]
    control.knobs(hubspot={"target_url": receiver.url})
    url = f"{control.url}/hubspot/crm/v3/objects/deals/{id}"
    wire.send_json("PATCH", url, {"properties": {"amount": "2"}}, {"Authorization": "Bearer sandbox-token"})
    until(lambda: len(receiver.got) == 1)
    ((event,),) = receiver.batches()
    assert (event["changeSource"], event["sourceId"], event["propertyValue"]) == ("INTEGRATION", "1357924", "2")
