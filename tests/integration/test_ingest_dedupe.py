"""Ingestion: each event once whoever sends it how often, and each bad one in plain sight."""

import json
from threading import Thread
from typing import Any

import pytest

from revpipe import arrivals, ingest
from revpipe.db import transaction
from revpipe.errors import SourceNotConfigured, Unauthorised
from revpipe.ids import uuid7
from revpipe.ports import Accepted, Delivery, InboundRequest
from revpipe.services import Services
from tests.integration.ledger_fixtures import (
    FakeSource,
    MovableClock,
    at_once,
    call,
    one,
    put,
    request_of,
    rows,
    run_act,
    run_to,
    signal_id,
    signal_row,
    trail_of,
)


def count(services: Services, table: str) -> int:
    found: int = one(services, f"SELECT count(*) AS n FROM {table}")["n"]
    return found


def test_the_same_batch_from_five_at_once_is_one_set_of_signals(services: Services) -> None:
    batch = [call(f"c{number}", f"d{number}") for number in range(30)]
    receipts = at_once(5, lambda at: put(services, *(batch if at % 2 else batch[::-1])))
    assert count(services, "signals") == 30
    assert sum(receipt.accepted for receipt in receipts) == 30
    assert sum(receipt.duplicates for receipt in receipts) == 4 * 30
    assert {receipt.accepted + receipt.duplicates for receipt in receipts} == {30}
    stored = one(services, "SELECT count(*) AS n, sum(accepted) AS a, sum(duplicates) AS d FROM deliveries")
    assert stored == {"n": 5, "a": 30, "d": 120}
    words = {row["what"]: row["n"] for row in rows(services, "SELECT what, count(*) AS n FROM trail GROUP BY what")}
    assert words == {"received": 30, "duplicate": 120}
    for name in ("c0", "c29"):
        assert sorted(trail_of(services, name)) == ["duplicate"] * 4 + ["received"]
    run_to(services, "execute")
    while run_act(services):
        from config.queues import QUEUES
        from revpipe import feed

        feed.offer(services, [name for name, queue in QUEUES.items() if queue.task == "act"])
    effects = rows(services, "SELECT type, count(*) AS n FROM actions WHERE state = 'done' GROUP BY type ORDER BY type")
    assert effects == [{"type": "create_task", "n": 30}, {"type": "send_alert", "n": 30}]


def test_overlapping_batches_from_many_at_once_add_up(services: Services) -> None:
    def part(at: int) -> arrivals.Receipt:
        return put(services, *(call(f"c{number}", f"d{number}") for number in range(at * 5, at * 5 + 15)))

    receipts = at_once(6, part)
    assert count(services, "signals") == 40 == sum(receipt.accepted for receipt in receipts)
    assert sum(receipt.duplicates for receipt in receipts) == 6 * 15 - 40


def test_a_duplicate_is_told_on_the_first_signal_under_its_correlation(services: Services, clock: MovableClock) -> None:
    first = put(services, call("a"))
    clock.move(hours=1)
    second = put(services, call("a"))
    assert (second.accepted, second.duplicates) == (0, 1)
    row = one(services, "SELECT * FROM trail WHERE what = 'duplicate'")
    assert (row["signal_id"], row["correlation_id"]) == (signal_id("a"), first.correlation_id)
    assert row["detail"] == {"delivery_id": str(second.delivery_id)}
    assert signal_row(services, "a")["delivery_id"] == first.delivery_id
    assert one(services, "SELECT sum(count) AS n FROM counters WHERE name = 'duplicates:fake'") == {"n": 1}


def test_one_event_twice_in_a_batch_is_one_signal(services: Services) -> None:
    receipt = put(services, call("a"), call("b", "d2"), call("a"))
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (2, 1, 0)


def test_a_bad_event_becomes_a_dead_letter_and_its_neighbours_go_through(services: Services) -> None:
    receipt = put(services, call("a"), {"bad": "no_object_id"}, {"bad": "no_time"}, call("b", "d2"))
    assert (receipt.accepted, receipt.rejected) == (2, 2)
    letters = rows(services, "SELECT * FROM dead_letters ORDER BY reason")
    assert [(row["stage"], row["source"], row["reason"], row["state"]) for row in letters] == [
        ("ingest", "fake", "no_object_id", "open"),
        ("ingest", "fake", "no_time", "open"),
    ]
    assert json.loads(letters[0]["message"]) == {"bad": "no_object_id"}
    assert {row["delivery_id"] for row in letters} == {receipt.delivery_id}
    assert count(services, "signals") == 2
    assert one(services, "SELECT count(*) AS n FROM trail WHERE what = 'refused'") == {"n": 2}


def test_a_bad_event_that_comes_again_is_counted_on_its_letter(services: Services) -> None:
    for _ in range(3):
        assert put(services, {"bad": "no_time"}).rejected == 1
    assert one(services, "SELECT times FROM dead_letters") == {"times": 3}


DEEP: Any = 1
for _ in range(50):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"text": "a\0b"}, "nul_byte"),
        ({"a\0b": "text"}, "nul_byte"),
        ({"text": "\ud83d"}, "bad_unicode"),
        ({"deep": DEEP}, "nested_too_deep"),
        ({"number": 2**63}, "number_too_large"),
        ({"number": -(2**70)}, "number_too_large"),
    ],
)
def test_what_the_ledger_could_not_hold_is_refused_alone(
    services: Services, payload: dict[str, Any], reason: str
) -> None:
    receipt = put(services, call("good"), {"id": "bad", "payload": payload})
    assert (receipt.accepted, receipt.rejected) == (1, 1)
    assert one(services, "SELECT reason, stage FROM dead_letters") == {"reason": reason, "stage": "ingest"}
    assert signal_row(services, "good")["state"] == "received"


@pytest.mark.parametrize("field", ["deal", "account", "contact"])
def test_an_id_that_the_ledger_could_not_hold_is_refused_alone(services: Services, field: str) -> None:
    receipt = put(services, call("good"), {"id": "bad", field: "a\0b"})
    assert (receipt.accepted, receipt.rejected) == (1, 1)
    assert one(services, "SELECT reason FROM dead_letters") == {"reason": "nul_byte"}


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b"[" * 100_000, b"{", b"\0"])
def test_a_body_that_cannot_be_read_is_kept_whole(services: Services, body: bytes) -> None:
    receipt = ingest.receive(FakeSource(), request_of(services, body), services)
    assert (receipt.accepted, receipt.rejected) == (0, 1)
    assert one(services, "SELECT message FROM dead_letters") == {"message": body}
    assert one(services, "SELECT body FROM deliveries") == {"body": body}


def test_a_delivery_without_events_is_stored(services: Services) -> None:
    receipt = put(services)
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (0, 0, 0)
    row = one(services, "SELECT * FROM deliveries")
    assert (row["delivery_id"], row["body"], row["target"]) == (receipt.delivery_id, b"[]", "/webhooks/fake")
    assert row["headers"] == {"user-agent": "fake/1"}


def test_no_header_that_authenticates_is_kept(services: Services) -> None:
    headers = {"authorization": "Bearer s3cret", "x-hubspot-signature-v3": "s3cret", "content-type": "a\0b\u00fc"}
    request = InboundRequest("POST", "/webhooks/fake", headers, b"[]", services.clock.now())
    ingest.receive(FakeSource(), request, services)
    assert one(services, "SELECT headers FROM deliveries") == {"headers": {"content-type": "ab?"}}


def test_a_body_of_thousands_of_events_is_taken_whole(services: Services) -> None:
    receipt = put(services, *(call(f"c{number}", None, urgency="low") for number in range(4000)))  # type: ignore[arg-type]
    assert receipt.accepted == count(services, "signals") == 4000


def test_what_must_not_be_acted_on_is_recorded_and_ends_at_once(services: Services) -> None:
    put(services, call("ours", suppressed="own_write"))
    row = signal_row(services, "ours")
    assert (row["state"], row["disposition"], row["reason"]) == ("done", "suppressed", "own_write")
    assert (row["queue"], row["stage"], row["sent_at"]) == (None, None, None)
    assert trail_of(services, "ours") == ["received", "suppressed"]


class Guarded(FakeSource):
    """Trusts nobody."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def verify(self, request: InboundRequest) -> None:
        raise self._error


@pytest.mark.parametrize("error", [Unauthorised("bad signature"), SourceNotConfigured("no secret")])
def test_nothing_of_a_stranger_is_kept(services: Services, error: Exception) -> None:
    with pytest.raises(type(error)):
        ingest.receive(Guarded(error), request_of(services, b"[]"), services)
    assert (count(services, "deliveries"), count(services, "dead_letters"), count(services, "trail")) == (0, 0, 0)
    counted = rows(services, "SELECT name, count FROM counters")
    assert counted == ([{"name": "unauthorised:fake", "count": 1}] if isinstance(error, Unauthorised) else [])


def test_a_fault_of_ours_keeps_the_delivery(services: Services) -> None:
    class Broken(FakeSource):
        """Has a bug."""

        def normalise(self, delivery: Delivery) -> list[Accepted]:
            raise ZeroDivisionError("a bug of ours")

    receipt = ingest.receive(Broken(), request_of(services, b"[1]"), services)
    assert receipt.rejected == 1
    assert one(services, "SELECT body FROM deliveries") == {"body": b"[1]"}
    assert one(services, "SELECT message, stage FROM dead_letters") == {"message": b"[1]", "stage": "ingest"}


def test_deliveries_that_share_a_transaction_keep_their_own_receipts(services: Services) -> None:
    put(services, call("known"))
    bodies = [[call("a"), call("b")], [call("b"), call("c"), call("known")], [{"id": "x", "payload": {"t": "\0"}}], []]
    found = []
    for body in bodies:
        delivery = Delivery(uuid7(), uuid7(), "fake", request_of(services, json.dumps(body).encode()))
        found.append(arrivals.Arrival(delivery, ingest.normalise(FakeSource(), delivery)))
    with transaction(services.engine) as tx:
        receipts = arrivals.store(tx, found, services)
    assert [(one.accepted, one.duplicates, one.rejected) for one in receipts] == [
        (2, 0, 0),
        (1, 2, 0),
        (0, 0, 1),
        (0, 0, 0),
    ]
    stored = {
        row["delivery_id"]: row["accepted"] for row in rows(services, "SELECT delivery_id, accepted FROM deliveries")
    }
    assert [stored[one.delivery_id] for one in receipts] == [2, 1, 0, 0]
    assert signal_row(services, "b")["delivery_id"] == receipts[0].delivery_id
    assert trail_of(services, "b") == ["received", "duplicate"]
    assert (
        one(services, "SELECT sum(n) AS n FROM tallies WHERE name = 'accepted'")["n"] == count(services, "signals") == 4
    )


def test_requests_at_once_are_each_answered_for_their_own(services: Services) -> None:
    intake = ingest.Intake(services, lambda queues, rows: None)
    receipts: dict[int, arrivals.Receipt] = {}

    def post(number: int) -> None:
        body = json.dumps([call(f"n{number}"), call("shared")]).encode()
        receipts[number] = intake.receive(FakeSource(), request_of(services, body))

    threads = [Thread(target=post, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(one.accepted for one in receipts.values()) == count(services, "signals") == 17
    assert sum(one.duplicates for one in receipts.values()) == 15
    assert all(one.accepted in (1, 2) for one in receipts.values())
    assert count(services, "deliveries") == 16
