"""Gong's webhook from the raw bytes to signals, over samples with Gong's shapes."""

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gong.source import build
from config.settings import load
from revpipe.errors import BadPayload, Misconfigured, SourceNotConfigured, Unauthorised
from revpipe.payloads import check_storable
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused

PAYLOADS = Path(__file__).parent / "payloads" / "gong"
VECTORS = json.loads((Path(__file__).parent / "vectors" / "gong_jwt.json").read_text())
RECEIVED = datetime(2026, 5, 4, 18, 0, tzinfo=UTC)
ENDED = datetime(2026, 5, 4, 16, 39, 36, 41977, tzinfo=UTC)
KEY = VECTORS["public_key_bare_base64"]
URL = "https://revpipe.example.com"


def source(**changes):
    made = {"GONG_WEBHOOK_PUBLIC_KEY": KEY, "PUBLIC_URL": URL, "GONG_COMPETITOR_TRACKERS": "competitors"}
    return build(load(made | changes))


def delivery(body, *, received_at=RECEIVED):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = InboundRequest("POST", "/webhooks/gong", {}, raw, received_at)
    return Delivery(uuid.uuid4(), uuid.uuid4(), "gong", request)


def sample(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def normalise(body, **changes):
    return source(**changes).normalise(delivery(body))


def one(body, **changes):
    (made,) = normalise(body, **changes)
    assert isinstance(made, Accepted)
    return made


def test_competitor_call():
    given_delivery = delivery(sample("competitor_call"))
    (made,) = source().normalise(given_delivery)
    signal = made.signal
    assert made.suppressed is None
    assert (signal.signal_type, signal.event, signal.source) == ("call_complete", "call.completed", "gong")
    assert (signal.deal_id, signal.account_id, signal.contact_id) == (
        "198765432101",
        "300000000001",
        "223344556677",
    )
    assert (signal.urgency, signal.confidence) == ("high", 0.9)
    assert (signal.fired_at, signal.received_at) == (ENDED, RECEIVED)
    assert signal.delivery_id == given_delivery.delivery_id
    assert signal.correlation_id == given_delivery.correlation_id


def test_payload():
    payload = one(sample("competitor_call")).signal.payload
    assert payload == {
        "call_id": "7782342274025937001",
        "title": "Northwind, pricing review",
        "url": "https://app.gong.io/call?id=7782342274025937001",
        "started_at": "2026-05-04T16:03:37.041977+00:00",
        "duration_s": 2159,
        "direction": "conference",
        "scope": "external",
        "is_private": False,
        "competitors": ["Globex", "Initech"],
        "competitor_said_by": "external",
        "trackers": [
            {"id": "5600000000000000001", "name": "Competitors", "count": 3},
            {"id": "5600000000000000002", "name": "Pricing", "count": 4},
        ],
        "parties": [
            {
                "name": "Dana Ortiz",
                "email": "dana@northwind.test",
                "title": "VP Operations",
                "affiliation": "external",
            },
            {
                "name": "Sam Lind",
                "email": "sam@ours.test",
                "title": "Account Executive",
                "affiliation": "internal",
            },
        ],
        "crm": [
            {"system": "HubSpot", "object_type": "deal", "object_id": "198765432101"},
            {"system": "HubSpot", "object_type": "account", "object_id": "300000000001"},
            {"system": "HubSpot", "object_type": "contact", "object_id": "223344556677"},
        ],
        "deals_on_call": 1,
        "brief": "Dana compared our price with Globex and asked for a security review.",
        "next_steps": ["Send the comparison by Friday", "Book the security review"],
    }


def test_one_signal_for_each_deal():
    made = normalise(sample("two_deals"))
    assert [item.signal.deal_id for item in made] == ["0061Q00000mkU1fQAE", "0061Q00000mkU2gQAE"]
    assert len({item.signal.signal_id for item in made}) == 2
    assert {item.signal.payload["deals_on_call"] for item in made} == {2}
    # Two accounts: which of them a deal belongs to is not in the payload.
    assert {item.signal.account_id for item in made} == {None}


def test_redelivery_gives_the_same_ids():
    body = sample("two_deals")
    first = [item.signal.signal_id for item in normalise(body)]
    body["callData"]["metaData"]["title"] = "Renamed since"
    assert [item.signal.signal_id for item in normalise(body)] == first


def test_without_a_deal_the_account_is_enough():
    signal = one(sample("smart_tracker")).signal
    assert (signal.deal_id, signal.account_id) == (None, "300000000001")
    assert signal.subject == "account:300000000001"


def test_without_any_context():
    signal = one(sample("no_context")).signal
    assert (signal.deal_id, signal.account_id, signal.contact_id) == (None, None, None)
    assert (signal.urgency, signal.confidence) == ("standard", 0.9)
    assert signal.fired_at == datetime(2026, 5, 4, 16, 1, 1, 500000, tzinfo=UTC)
    assert signal.payload["competitor_said_by"] is None
    assert signal.payload["parties"] == []


@pytest.mark.parametrize("tracker", ["Rival talk", "RIVAL TALK", "5600000000000000009"])
def test_smart_tracker_by_name_or_id(tracker):
    signal = one(sample("smart_tracker"), GONG_COMPETITOR_TRACKERS=tracker).signal
    assert signal.payload["competitors"] == ["Rival talk"]
    assert signal.payload["competitor_said_by"] == "internal"
    assert (signal.urgency, signal.confidence) == ("high", 0.7)


def test_other_trackers_mean_no_competitor():
    signal = one(sample("smart_tracker")).signal
    assert (signal.urgency, signal.payload["competitors"]) == ("standard", [])


def test_a_tracker_that_was_not_heard():
    body = sample("competitor_call")
    body["callData"]["content"]["trackers"][0]["count"] = 0
    signal = one(body).signal
    assert (signal.urgency, signal.payload["competitor_said_by"]) == ("standard", None)


def test_a_count_beyond_reason_can_still_be_stored():
    body = sample("competitor_call")
    body["callData"]["content"]["trackers"][0]["count"] = 1e300
    check_storable(one(body).signal.payload)


def test_a_speaker_that_is_nobody():
    body = sample("competitor_call")
    for party in body["callData"]["parties"]:
        party["speakerId"] = None
    assert one(body).signal.payload["competitor_said_by"] == "unknown"


def test_action_items_stand_in_for_highlights():
    body = sample("competitor_call")
    del body["callData"]["content"]["highlights"]
    assert one(body).signal.payload["next_steps"] == ["I'll send the comparison over."]


def test_private_call_loses_its_content():
    made = one(sample("private_call"))
    assert made.suppressed == "private_call"
    payload = made.signal.payload
    assert payload["is_private"] is True
    assert (payload["title"], payload["brief"], payload["competitor_said_by"]) == (None, None, None)
    assert payload["parties"] == payload["trackers"] == payload["competitors"] == payload["next_steps"] == []
    assert (made.signal.deal_id, made.signal.contact_id) == ("198765432101", None)
    text = json.dumps(payload)
    assert not any(word in text for word in ("Northwind", "Dana", "Globex", "comparison", "223344556677"))


@pytest.mark.parametrize("where", ["envelope", "metaData"])
@pytest.mark.parametrize("value", [True, "true"])
def test_either_flag_makes_a_call_private(where, value):
    body = sample("competitor_call")
    (body if where == "envelope" else body["callData"]["metaData"])["isPrivate"] = value
    assert one(body).suppressed == "private_call"


def test_test_now_is_recorded_only():
    made = one(sample("test_call"))
    assert made.suppressed == "test_call"
    # The button sends a real call, which must not look like a duplicate when it comes by itself.
    assert made.signal.signal_id != one(sample("competitor_call")).signal.signal_id
    assert made.signal.signal_id == one(sample("test_call")).signal.signal_id


def test_bare_call():
    bare = sample("bare_call")
    same = one({"callData": bare, "isTest": False}).signal
    made = one(bare)
    assert made.suppressed is None
    assert (made.signal.signal_id, made.signal.payload) == (same.signal_id, same.payload)


@pytest.mark.parametrize(
    ("started", "duration", "fired_at"),
    [
        ("2026-05-04T16:00:00Z", 60, datetime(2026, 5, 4, 16, 1, tzinfo=UTC)),
        ("2026-05-04T18:00:00+02:00", None, datetime(2026, 5, 4, 16, 0, tzinfo=UTC)),
        (1777910400, 60, datetime(2026, 5, 4, 16, 1, tzinfo=UTC)),
        (1777910400000, 60, datetime(2026, 5, 4, 16, 1, tzinfo=UTC)),
        ("2026-05-04T16:00:00Z", "60", datetime(2026, 5, 4, 16, 0, tzinfo=UTC)),
        ("2026-05-04T16:00:00Z", -60, datetime(2026, 5, 4, 16, 0, tzinfo=UTC)),
        ("2026-05-04T17:59:00Z", 3600, RECEIVED),
        ("2031-01-01T00:00:00Z", 0, RECEIVED),
        ("2026-05-04T16:00:00", 60, RECEIVED),
        ("9999-12-31T23:59:59-12:00", 60, RECEIVED),
        ("2026-05-04T16:00:00Z", 1e300, RECEIVED),
        (9e18, 1, RECEIVED),
        (None, 60, RECEIVED),
        ("soon", 60, RECEIVED),
        (True, 60, RECEIVED),
    ],
)
def test_times(started, duration, fired_at):
    body = sample("no_context")
    body["callData"]["metaData"].update(started=started, duration=duration)
    assert one(body).signal.fired_at == fired_at


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://gong.io/call?id=1", True),
        ("https://us-55616.app.gong.io/call?id=1#t=3", True),
        ("http://app.gong.io/call?id=1", False),
        ("https://gong.io.evil.test/", False),
        ("https://evilgong.io/", False),
        ("https://evil.test\\.gong.io/", False),
        ("https://gong.io@evil.test/", False),
        ("https://app.gong.io/a|b>", False),
        ("https://app.gong.io/a\nb", False),
        ("javascript:alert(1)//gong.io", False),
        (7, False),
    ],
)
def test_links_lead_to_gong_only(url, kept):
    body = sample("no_context")
    body["callData"]["metaData"]["url"] = url
    assert one(body).signal.payload["url"] == (url if kept else None)


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.json")))
def test_links_to_recordings_are_never_kept(name):
    for made in normalise(sample(name)):
        assert "media.example" not in json.dumps(made.signal.payload)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"{", "not_json"),
        (b"\xff", "not_utf8"),
        (b"[]", "no_call"),
        (b"{}", "no_call"),
        (b"null", "no_call"),
        (b'{"callData": null}', "no_call"),
        (b'{"callData": [], "metaData": {}}', "no_call"),
        (b'{"metaData": "x"}', "no_call"),
    ],
)
def test_what_holds_no_call(body, reason):
    with pytest.raises(BadPayload) as caught:
        normalise(body)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"callData": {}}', "no_call_id"),
        (b'{"callData": {"metaData": {"id": " "}}}', "no_call_id"),
        (b'{"callData": {"metaData": {"id": 1.5}}}', "no_call_id"),
        (b'{"callData": {"metaData": {"id": true}}}', "no_call_id"),
        (b'{"callData": {"metaData": {"id": "1", "title": "a\\u0000"}}}', "nul_byte"),
        (b'{"callData": {"metaData": {"id": "1"}}, "new": "\\ud800"}', "bad_unicode"),
        (b'{"callData": {"metaData": {"id": 99999999999999999999}}}', "number_too_large"),
        (b'{"callData": {"metaData": {"id": "1", "x": ' + b"[" * 40 + b"]" * 40 + b"}}}", "nested_too_deep"),
    ],
)
def test_what_becomes_a_dead_letter(body, reason):
    (made,) = normalise(body)
    assert isinstance(made, Refused)
    assert (made.reason, made.fragment) == (reason, body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["Deal", "Contact", "External", "Smart", "1"]),
    lambda child: st.lists(child, max_size=3),
    max_leaves=5,
)  # fmt: skip
_PATHS = st.sampled_from(
    [
        ("metaData", "started"), ("metaData", "duration"), ("metaData", "url"), ("metaData", "isPrivate"),
        ("metaData", "title"), ("context",), ("context", 0), ("context", 0, "objects"),
        ("context", 0, "objects", 0), ("context", 0, "objects", 0, "objectType"),
        ("context", 0, "objects", 0, "objectId"), ("parties",), ("parties", 0), ("parties", 0, "speakerId"),
        ("parties", 0, "affiliation"), ("parties", 0, "context"), ("content",), ("content", "trackers"),
        ("content", "trackers", 0), ("content", "trackers", 0, "count"), ("content", "trackers", 0, "type"),
        ("content", "trackers", 0, "name"), ("content", "trackers", 0, "phrases"),
        ("content", "trackers", 0, "phrases", 0), ("content", "trackers", 0, "phrases", 0, "count"),
        ("content", "trackers", 0, "occurrences"), ("content", "highlights"), ("content", "highlights", 1),
        ("content", "highlights", 1, "items"), ("content", "pointsOfInterest"), ("content", "brief"),
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(_PATHS, _JSON), min_size=1, max_size=4))
def test_a_field_of_any_kind_is_survived(changes):
    body = sample("competitor_call")
    for path, value in changes:
        _put(body["callData"], path, value)
    for made in normalise(body):
        if isinstance(made, Accepted):
            assert made.signal.fired_at <= RECEIVED
            check_storable(json.loads(json.dumps(made.signal.payload)))
        else:
            assert made.reason in ("nul_byte", "bad_unicode")


def _put(holder, path, value):
    for step in path[:-1]:
        try:
            holder = holder[step]
        except (KeyError, IndexError, TypeError):
            return
    try:
        holder[path[-1]] = value
    except (IndexError, TypeError):
        return


def test_fails_closed_without_key_or_url():
    request = delivery(b"{}").request
    with pytest.raises(SourceNotConfigured, match="GONG_WEBHOOK_PUBLIC_KEY"):
        source(GONG_WEBHOOK_PUBLIC_KEY="").verify(request)
    with pytest.raises(SourceNotConfigured, match="PUBLIC_URL"):
        source(PUBLIC_URL="").verify(request)


def test_a_malformed_key_is_found_when_built():
    with pytest.raises(Misconfigured, match="GONG_WEBHOOK_PUBLIC_KEY"):
        source(GONG_WEBHOOK_PUBLIC_KEY="changeme")


def test_verify_signed_request():
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = json.dumps(sample("competitor_call")).encode()
    made = {
        "exp": int(RECEIVED.timestamp()) + 300,
        "webhook_url": f"{URL}/webhooks/gong",
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    headers = {"authorization": jwt.encode(made, private, algorithm="RS256")}
    gong = source(GONG_WEBHOOK_PUBLIC_KEY=pem.replace("\n", "\\n"))
    gong.verify(InboundRequest("POST", "/webhooks/gong", headers, body, RECEIVED))
    late = RECEIVED + timedelta(seconds=301)
    with pytest.raises(Unauthorised, match="expired"):
        gong.verify(InboundRequest("POST", "/webhooks/gong", headers, body, late))
    with pytest.raises(Unauthorised):
        gong.verify(InboundRequest("POST", "/webhooks/gong", {}, body, RECEIVED))
