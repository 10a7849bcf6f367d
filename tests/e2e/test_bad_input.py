"""What strangers and broken senders send: refused before it is kept, or kept byte for byte with one dead letter."""

import json
from collections.abc import Callable
from typing import Final

import pytest

from adapters.sandbox import signing, wire
from tests.e2e.chunked import post_chunked
from tests.e2e.conftest import System
from tests.e2e.crm_side import hubspot_headers

LIMIT: Final = 1_000_000
GOOD_EVENT: Final = b'"portalId":24681357,"occurredAt":%d,"subscriptionType":"deal.propertyChange"'
WHOLE_BODIES: Final = {
    "not json": (b"{the deal moved}", "not_json"),
    "empty": (b"", "empty"),
    "an object of another kind": (b'{"deal": 1}', "unexpected_shape"),
    "a text": (b'"moved"', "unexpected_shape"),
    "a raw NUL byte": (b'[{"a":"\x00"}]', "not_json"),
    "not UTF-8": (b'[{"a":"\xff\xfe"}]', "not_utf8"),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, "nested_too_deep"),
}
EVENTS: Final = {
    "an escaped NUL": (b'{%s,"objectId":1,"propertyName":"amount","propertyValue":"a\\u0000b"}', "nul_byte"),
    "50 levels": (b'{%s,"objectId":1,"extra":' + b'{"a":' * 50 + b"1" + b"}" * 50 + b"}", "nested_too_deep"),
    "2**70": (b'{%%s,"objectId":%d,"propertyName":"amount"}' % 2**70, "number_too_large"),
    "1e999": (b'{%s,"objectId":1,"propertyName":"amount","propertyValue":1e999}', "number_too_large"),
    "half a surrogate": (b'{%s,"objectId":1,"propertyName":"amount","propertyValue":"\\ud800"}', "bad_unicode"),
    "no object": (b"17", "not_an_object"),
    "no property": (b'{%s,"objectId":1}', "missing_field"),
    "another portal": (
        b'{"portalId":5,"occurredAt":%d,"subscriptionType":"deal.creation","objectId":1}',
        "foreign_account",
    ),
}


def _now_ms(running: System) -> int:
    return running.vendors.server.world.hubspot.now()


def _count(running: System, question: str) -> int:
    return int(running.ledger.rows(question)[0]["found"] or 0)


Request = tuple[bytes, dict[str, str]]


def _bad_secret(url: str, body: bytes) -> Request:
    return body, hubspot_headers(url, body, secret="somebody else's")


def _other_body(url: str, body: bytes) -> Request:
    return body + b" ", hubspot_headers(url, body)


def _other_address(_url: str, body: bytes) -> Request:
    return body, hubspot_headers("https://elsewhere.example/webhooks/hubspot", body)


def _old(url: str, body: bytes) -> Request:
    return body, hubspot_headers(url, body, shift_s=-360)


def _future(url: str, body: bytes) -> Request:
    return body, hubspot_headers(url, body, shift_s=360)


def _no_signature(url: str, body: bytes) -> Request:
    # The older signatures stay: they hold, but nothing allows them here.
    return body, {name: value for name, value in hubspot_headers(url, body).items() if not name.endswith("-v3")}


def _no_time(url: str, body: bytes) -> Request:
    return body, {name: value for name, value in hubspot_headers(url, body).items() if "Timestamp" not in name}


@pytest.mark.parametrize("spoil", [_bad_secret, _other_body, _other_address, _old, _future, _no_signature, _no_time])
def test_what_is_not_authentic_is_refused_counted_and_not_kept(
    running: System, spoil: Callable[[str, bytes], Request]
) -> None:
    kept, counted = (
        "SELECT count(*) AS found FROM deliveries",
        "SELECT sum(count) AS found FROM counters WHERE name = 'unauthorised:hubspot'",
    )
    before = _count(running, kept), _count(running, counted)
    (deal,) = running.vendors.overdue_deals(1)
    events = json.dumps(running.vendors.edit(deal, amount="9200")).encode()
    body, headers = spoil(f"{running.url}/webhooks/hubspot", events)
    answer = running.door.hubspot_bytes(body, headers)
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert (_count(running, kept), _count(running, counted)) == (before[0], before[1] + 1)
    assert running.ledger.signals_of([deal]) == []


def test_a_gong_token_must_be_of_the_rules_key_for_this_body_and_not_expired(running: System) -> None:
    webhook = running.vendors.call(running.vendors.new_id())
    private, _ = signing.gong_key_pair()
    assert running.door.gong(webhook, key=private).status == 401
    assert running.door.gong(webhook, lasts=-60).status == 401
    assert running.door.gong(webhook, about=b"another body").status == 401
    assert wire.send("POST", f"{running.url}/webhooks/gong", b"{}").status == 401
    assert running.door.gong(webhook).status == 202


def test_a_body_over_one_megabyte_is_refused_however_it_is_sent(running: System) -> None:
    url = f"{running.url}/webhooks/hubspot"
    fits = b"[" + b" " * (LIMIT - 2) + b"]"
    assert running.door.hubspot_bytes(fits).status == 202
    over = b"[" + b" " * (LIMIT - 1) + b"]"
    assert running.door.hubspot_bytes(over).status == 413
    assert post_chunked(url, over, hubspot_headers(url, over)) == 413
    assert post_chunked(url, fits, hubspot_headers(url, fits)) == 202


def test_unknown_places_and_methods(running: System) -> None:
    assert wire.send("POST", f"{running.url}/webhooks/nobody", b"[]").status == 404
    assert wire.send("GET", f"{running.url}/webhooks/hubspot").status == 405


@pytest.mark.parametrize(("body", "reason"), WHOLE_BODIES.values(), ids=WHOLE_BODIES)
def test_a_body_that_cannot_be_read_is_kept_and_buried_whole(running: System, body: bytes, reason: str) -> None:
    answer = running.door.hubspot_bytes(body)
    assert answer.status == 202
    told = answer.json()
    assert (told["accepted"], told["duplicates"], told["rejected"]) == (0, 0, 1)
    assert bytes(running.ledger.delivery(told["delivery_id"])["body"]) == body
    (letter,) = running.ledger.letters_of(told["delivery_id"])
    assert (letter["stage"], letter["reason"], bytes(letter["message"])) == ("ingest", reason, body)


@pytest.mark.timeout(180)
def test_each_bad_event_is_one_dead_letter_and_its_neighbours_are_acted_on(running: System) -> None:
    deals = running.vendors.overdue_deals(2 * len(EVENTS))
    for at, (shape, reason) in enumerate(EVENTS.values()):
        stamp = _now_ms(running)
        head = GOOD_EVENT % stamp
        bad = shape.replace(b"%s", head).replace(b"%d", b"%d" % stamp)
        first, last = (_one_event(running, deal) for deal in deals[2 * at : 2 * at + 2])
        body = b"[" + first + b", " + bad + b"," + last + b"]"
        answer = running.door.hubspot_bytes(body)
        assert answer.status == 202, reason
        told = answer.json()
        assert (told["accepted"], told["rejected"]) == (2, 1), reason
        assert bytes(running.ledger.delivery(told["delivery_id"])["body"]) == body
        (letter,) = running.ledger.letters_of(told["delivery_id"])
        assert (letter["stage"], letter["reason"], bytes(letter["message"])) == ("ingest", reason, bad)
    ended = running.ledger.all_ended(deals, len(deals), 90)
    assert {row["disposition"] for row in ended} == {"acted"}
    assert len(running.vendors.done("tasks.create", deals)) == len(deals)


def _one_event(running: System, deal: str) -> bytes:
    (event,) = running.vendors.edit(deal, amount="9300")
    return json.dumps(event).encode()


def test_an_array_of_101_events_is_taken_whole(running: System) -> None:
    deal = running.vendors.quiet_deal("Much edited")
    (event,) = running.vendors.edit(deal, description="final")
    events = [event | {"eventId": number, "propertyValue": f"draft {number}"} for number in range(101)]
    answer = running.door.hubspot(events)
    assert (answer.status, answer.json()["accepted"]) == (202, 101)
    ended = running.ledger.all_ended([deal], 101)
    # Of so many edits of one deal most are carried by the last of those that come together.
    assert {row["disposition"] for row in ended} == {"nothing_due", "coalesced"}
    survivors = {row["signal_id"] for row in ended if row["disposition"] == "nothing_due"}
    assert {row["coalesced_into"] for row in ended if row["disposition"] == "coalesced"} <= survivors


@pytest.mark.parametrize("kind", ["deal.teleported", "invoice.creation", "x" * 300, "object."])
def test_an_unknown_subscription_type_is_kept_and_suppressed(running: System, kind: str) -> None:
    event = {"portalId": 24681357, "occurredAt": _now_ms(running), "subscriptionType": kind, "objectId": 77}
    answer = running.door.hubspot([event])
    assert (answer.status, answer.json()["accepted"]) == (202, 1)
    (signal,) = running.ledger.rows("SELECT * FROM signals WHERE delivery_id = :id", id=answer.json()["delivery_id"])
    assert (signal["event"], signal["disposition"], signal["reason"]) == ("unknown", "suppressed", "unknown_type")
