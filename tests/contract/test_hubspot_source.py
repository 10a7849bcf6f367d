"""HubSpot's webhooks against the Source port: every event type, every refusal, identity, and the official SDK."""

import json
import string
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hubspot.utils.signature import Signature
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.hubspot import signature
from adapters.hubspot.source import HubSpotSource, build
from config.settings import Settings
from revpipe.errors import BadPayload, SourceNotConfigured, Unauthorised
from revpipe.payloads import check_storable
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused

PAYLOADS = Path(__file__).parent / "payloads" / "hubspot"
RECEIVED_AT = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
OCCURRED_AT = 1767225600123
PORTAL, APP, DEAL, COMPANY, CONTACT = "24681357", "1357924", "198765432101", "300000000001", "223344556677"
SECRET = "revpipe-test-secret-0001"
PUBLIC_URL = "https://hooks.revpipe.test"
EXAMPLES = settings(max_examples=150, deadline=None)


def source(**values: Any) -> HubSpotSource:
    return build(Settings(**values))


def delivery(body: bytes) -> Delivery:
    request = InboundRequest("POST", "/webhooks/hubspot", {}, body, RECEIVED_AT)
    return Delivery(uuid.UUID(int=1), uuid.UUID(int=2), "hubspot", request)


def results(*events: Any, **values: Any) -> list[Accepted | Refused]:
    return list(source(**values).normalise(delivery(json.dumps(events).encode())))


def one(event: Any, **values: Any) -> Accepted:
    (result,) = results(event, **values)
    assert isinstance(result, Accepted), result
    return result


def refusal(event: Any, **values: Any) -> Refused:
    (result,) = results(event, **values)
    assert isinstance(result, Refused), result
    return result


def event(kind: str = "deal.propertyChange", **changes: Any) -> dict[str, Any]:
    """A sound event of a type; `changes` overwrite its fields, and None takes one out."""
    fields = {
        "eventId": 3141592653,
        "subscriptionId": 2718281,
        "portalId": int(PORTAL),
        "appId": int(APP),
        "occurredAt": OCCURRED_AT,
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": int(DEAL),
        "propertyName": "dealstage",
        "propertyValue": "presentationscheduled",
        "changeSource": "CRM_UI",
        "sourceId": "userId:11223344",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def association(name: str | None = "DEAL_TO_CONTACT", **changes: Any) -> dict[str, Any]:
    sides = {"fromObjectId": int(DEAL), "toObjectId": int(CONTACT), "associationRemoved": False}
    kind = changes.pop("kind", "deal.associationChange")
    return event(kind, objectId=None, associationType=name, **(sides | changes))


def payload_file(name: str) -> list[dict[str, Any]]:
    return json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Want:
    event: str
    object_type: str | None
    urgency: str = "standard"
    deal_id: str | None = None
    account_id: str | None = None
    contact_id: str | None = None


FILES = ("company", "contact", "conversation", "deal", "event", "line_item", "object", "product", "ticket")
WANTED = {
    "deal.creation": Want("deal.created", "deal", deal_id=DEAL),
    "deal.deletion": Want("deal.deleted", "deal", "high", deal_id="198765432102"),
    "deal.propertyChange": Want("deal.stage_changed", "deal", "high", deal_id=DEAL),
    "deal.associationChange": Want("deal.association_removed", "deal", "high", DEAL, None, CONTACT),
    "deal.merge": Want("deal.merged", "deal", "high", deal_id="198765432105"),
    "deal.restore": Want("deal.restored", "deal", deal_id="198765432102"),
    "company.creation": Want("account.created", "account", account_id=COMPANY),
    "company.deletion": Want("account.deleted", "account", account_id="300000000002"),
    "company.propertyChange": Want("account.property_changed", "account", account_id=COMPANY),
    "company.associationChange": Want("account.association_added", "account", "standard", DEAL, COMPANY),
    "company.merge": Want("account.merged", "account", account_id="300000000005"),
    "company.restore": Want("account.restored", "account", account_id="300000000002"),
    "contact.creation": Want("contact.created", "contact", contact_id=CONTACT),
    "contact.deletion": Want("contact.deleted", "contact", contact_id="223344556678"),
    "contact.propertyChange": Want("contact.property_changed", "contact", contact_id=CONTACT),
    "contact.associationChange": Want("contact.association_added", "contact", "standard", None, COMPANY, CONTACT),
    "contact.merge": Want("contact.merged", "contact", contact_id="223344556681"),
    "contact.restore": Want("contact.restored", "contact", contact_id="223344556678"),
    "contact.privacyDeletion": Want("contact.privacy_deleted", "contact", contact_id="223344556686"),
    "ticket.creation": Want("ticket.created", "ticket"),
    "ticket.deletion": Want("ticket.deleted", "ticket"),
    "ticket.propertyChange": Want("ticket.property_changed", "ticket"),
    "ticket.associationChange": Want("ticket.association_added", "ticket", contact_id=CONTACT),
    "ticket.merge": Want("ticket.merged", "ticket"),
    "ticket.restore": Want("ticket.restored", "ticket"),
    "line_item.creation": Want("line_item.created", "line_item"),
    "line_item.deletion": Want("line_item.deleted", "line_item"),
    "line_item.propertyChange": Want("line_item.property_changed", "line_item"),
    "line_item.associationChange": Want("line_item.association_added", "line_item", deal_id=DEAL),
    "line_item.merge": Want("line_item.merged", "line_item"),
    "line_item.restore": Want("line_item.restored", "line_item"),
    "product.creation": Want("product.created", "product"),
    "product.deletion": Want("product.deleted", "product"),
    "product.propertyChange": Want("product.property_changed", "product"),
    "product.merge": Want("product.merged", "product"),
    "product.restore": Want("product.restored", "product"),
    "object.creation": Want("object.created", "2-4711"),
    "object.deletion": Want("contact.deleted", "contact", contact_id=CONTACT),
    "object.propertyChange": Want("object.property_changed", "2-4711"),
    "object.associationChange": Want("deal.association_added", "deal", "standard", DEAL, None, CONTACT),
    "object.merge": Want("account.merged", "account", account_id=COMPANY),
    "object.restore": Want("ticket.restored", "ticket"),
    "conversation.creation": Want("conversation.created", "conversation"),
    "conversation.deletion": Want("conversation.deleted", "conversation"),
    "conversation.privacyDeletion": Want("conversation.privacy_deleted", "conversation"),
    "conversation.propertyChange": Want("conversation.changed", "conversation"),
    "conversation.newMessage": Want("conversation.message", "conversation"),
    "event.completed": Want("unknown", None, "low"),
}
SAMPLES = {sample["subscriptionType"]: sample for name in FILES for sample in payload_file(name)}


def test_there_is_a_sample_of_each_of_the_48_subscription_types():
    assert len(WANTED) == 48
    assert SAMPLES.keys() == WANTED.keys()


@pytest.mark.parametrize("kind", WANTED)
def test_each_subscription_type(kind):
    sample, want = SAMPLES[kind], WANTED[kind]
    accepted = one(sample)
    signal = accepted.signal
    got = Want(
        signal.event,
        signal.payload["object_type"],
        signal.urgency,
        signal.deal_id,
        signal.account_id,
        signal.contact_id,
    )
    assert got == want
    assert accepted.suppressed == ("unknown_type" if want.event == "unknown" else None)
    assert (signal.signal_type, signal.source, signal.schema_version) == ("crm_event", "hubspot", 1)
    assert signal.confidence == (1.0 if kind.endswith(".creation") else 0.95)
    assert signal.fired_at == datetime.fromtimestamp(sample["occurredAt"] // 1000, UTC).replace(microsecond=123000)
    assert (signal.received_at, signal.delivery_id) == (RECEIVED_AT, uuid.UUID(int=1))
    assert signal.correlation_id == uuid.UUID(int=2)
    assert signal.payload["change_source"] == sample.get("changeSource")
    assert (
        signal.payload["vendor"].items()
        >= {
            "event_id": str(sample["eventId"]),
            "subscription_id": str(sample["subscriptionId"]),
            "subscription_type": kind,
            "portal_id": PORTAL,
            "app_id": APP,
            "attempt": 0,
            "source_id": sample.get("sourceId"),
        }.items()
    )


@pytest.mark.parametrize("name", FILES)
def test_a_batch_gives_its_signals_in_the_order_sent(name):
    samples = payload_file(name)
    normalised = source().normalise(delivery((PAYLOADS / f"{name}.json").read_bytes()))
    kinds = [result.signal.payload["vendor"]["subscription_type"] for result in normalised]
    assert kinds == [sample["subscriptionType"] for sample in samples]


@pytest.mark.parametrize(
    ("name", "expected", "urgency"),
    [
        ("dealstage", "deal.stage_changed", "high"),
        ("closedate", "deal.close_date_changed", "high"),
        ("amount", "deal.amount_changed", "high"),
        ("hubspot_owner_id", "deal.owner_changed", "standard"),
        ("dealname", "deal.property_changed", "standard"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "type_id"),
    [("deal.propertyChange", None), ("object.propertyChange", "0-3"), ("object.propertyChange", "DEAL")],
)
def test_changes_of_a_deal_have_names_of_their_own(name, expected, urgency, kind, type_id):
    signal = one(event(kind, objectTypeId=type_id, propertyName=name)).signal
    assert (signal.event, signal.urgency, signal.deal_id) == (expected, urgency, DEAL)


def test_the_finer_names_are_for_deals_only():
    signal = one(event("ticket.propertyChange", propertyName="amount")).signal
    assert (signal.event, signal.urgency) == ("ticket.property_changed", "standard")


@pytest.mark.parametrize(
    ("type_id", "family"),
    [
        ("0-1", "contact"),
        ("contact", "contact"),
        ("0-2", "account"),
        ("companies", "account"),
        ("0-3", "deal"),
        ("0-5", "ticket"),
        ("0-7", "product"),
        ("0-8", "line_item"),
        ("0-27", "object"),
        ("2-4711", "object"),
    ],
)
def test_generic_events_are_named_by_their_object_type(type_id, family):
    signal = one(event("object.creation", objectTypeId=type_id)).signal
    assert signal.event == f"{family}.created"
    assert signal.payload["object_type"] == (type_id if family == "object" else family)


def test_a_property_change_carries_the_new_value_as_text():
    facts = one(event(propertyName="amount", propertyValue=52000)).signal.payload
    assert (facts["property"], facts["new_value"], facts["object_id"]) == ("amount", "52000", DEAL)
    assert one(event(propertyValue=True)).signal.payload["new_value"] == "true"
    assert one(event(propertyValue=None)).signal.payload["new_value"] == ""


def test_an_association_names_both_sides():
    facts = one(SAMPLES["deal.associationChange"]).signal.payload
    wanted = {"association": "DEAL_TO_CONTACT", "from_id": DEAL, "to_id": CONTACT, "removed": True}
    assert facts.items() >= {"object_id": DEAL, **wanted}.items()
    generic = one(SAMPLES["object.associationChange"]).signal.payload
    assert generic.items() >= {**wanted, "removed": False}.items()
    assert generic["vendor"]["association_type_id"] == "3"


@pytest.mark.parametrize(
    ("sample", "ids"),
    [
        (association("DEAL_TO_COMPANY", toObjectId=9), (DEAL, "9", None)),
        (association("DEAL_TO_LINE_ITEM"), (DEAL, None, None)),
        (association("DEAL_TO_DEAL"), (DEAL, None, None)),
        (association("DEAL_TO_CLUB"), (DEAL, None, None)),
        (association(None), (DEAL, None, None)),
        (association("CONTACT_TO_DEAL", kind="contact.associationChange"), (CONTACT, None, DEAL)),
        (association("CONTACT_TO_DEAL"), (CONTACT, None, DEAL)),
        (
            association(None, kind="object.associationChange", fromObjectTypeId="2-4711", toObjectTypeId="0-2"),
            (None, CONTACT, None),
        ),
    ],
)
def test_the_ids_of_an_association_go_by_its_two_types(sample, ids):
    signal = one(sample).signal
    assert (signal.deal_id, signal.account_id, signal.contact_id) == ids


@pytest.mark.parametrize("kind", ["deal.associationChange", "contact.associationChange"])
def test_a_contact_leaving_a_deal_is_pressing(kind):
    name = "DEAL_TO_CONTACT" if kind.startswith("deal") else "CONTACT_TO_DEAL"
    assert one(association(name, kind=kind, associationRemoved=True)).signal.urgency == "high"
    assert one(association(name, kind=kind)).signal.urgency == "standard"
    assert one(association("DEAL_TO_COMPANY", associationRemoved=True)).signal.urgency == "standard"


@pytest.mark.parametrize(
    ("fields", "survivor"),
    [
        ({"newObjectId": 30, "primaryObjectId": 10, "mergedObjectIds": [20]}, "30"),
        ({"primaryObjectId": 10, "mergedObjectIds": [20]}, "10"),
        ({"objectId": 40}, "40"),
    ],
)
def test_a_merge_is_about_the_record_that_is_left(fields, survivor):
    sample = event("deal.merge", **({"objectId": None} | fields))
    signal = one(sample).signal
    assert (signal.deal_id, signal.payload["object_id"]) == (survivor, survivor)
    assert signal.payload["survivor_id"] == survivor
    assert signal.payload["merged_ids"] == [str(one) for one in fields.get("mergedObjectIds", ())]
    assert signal.payload["primary_id"] == ("10" if "primaryObjectId" in fields else None)


def test_a_message_keeps_its_id_and_kind():
    facts = one(SAMPLES["conversation.newMessage"]).signal.payload
    assert facts["message_id"] == "3f1a2b4c5d6e4f708192a3b4c5d6e7f8"
    assert (facts["message_type"], facts["object_id"]) == ("MESSAGE", "5550001111")


def test_sparse_shapes_that_were_seen_are_read():
    created, linked, sensitive = (one(sample).signal for sample in payload_file("sparse"))
    assert (created.event, created.payload["change_source"]) == ("deal.created", None)
    assert (linked.event, linked.deal_id, linked.contact_id) == ("deal.association_added", DEAL, CONTACT)
    assert (sensitive.contact_id, sensitive.payload["new_value"]) == (CONTACT, "REDACTED")
    assert sensitive.payload["vendor"]["portal_id"] == PORTAL
    assert sensitive.payload["vendor"]["attempt"] is None


@pytest.mark.parametrize(
    ("change_source", "urgency", "confidence"),
    [
        ("IMPORT", "low", 0.95),
        ("CRM_UI_BULK_ACTION", "low", 0.95),
        ("DATA_ENRICHMENT", "low", 0.6),
        ("WORKFLOW", "high", 0.95),
        ("SOMETHING_NEW", "high", 0.95),
        (None, "high", 0.95),
    ],
)
def test_bulk_sources_come_last(change_source, urgency, confidence):
    signal = one(event(changeSource=change_source)).signal
    assert (signal.urgency, signal.confidence) == (urgency, confidence)


@pytest.mark.parametrize(
    ("fields", "app_id", "suppressed"),
    [
        ({"changeSource": "INTEGRATION", "sourceId": APP}, None, "own_write"),
        ({"changeSource": "INTEGRATION", "sourceId": APP}, APP, "own_write"),
        ({"changeSource": "INTEGRATION", "sourceId": int(APP)}, APP, "own_write"),
        ({"changeSource": "INTEGRATION", "sourceId": "777"}, "777", "own_write"),
        ({"changeSource": "INTEGRATION", "sourceId": APP}, "777", None),
        ({"changeSource": "INTEGRATION", "sourceId": "777"}, None, None),
        ({"changeSource": "INTEGRATION", "sourceId": None, "appId": None}, None, None),
        ({"changeSource": "INTEGRATION", "sourceId": None}, APP, None),
        ({"changeSource": "CRM_UI", "sourceId": APP}, APP, None),
    ],
)
def test_our_own_writes_are_recognised(fields, app_id, suppressed):
    assert one(event(**fields), hubspot_app_id=app_id).suppressed == suppressed


@pytest.mark.parametrize(
    "kind",
    ["deal.archived", "quote.creation", "deal", "deal.", "conversation.restore", "deal.privacyDeletion", "."],
)
def test_an_unknown_type_is_kept_and_not_acted_on(kind):
    accepted = one(event(kind, objectId="abc", surprise={"a": [1]}))
    assert (accepted.suppressed, accepted.signal.event) == ("unknown_type", "unknown")
    assert accepted.signal.payload["vendor"]["subscription_type"] == kind
    assert accepted.signal.deal_id is None
    other = one(event(kind, objectId="abc", surprise={"a": [2]}))
    assert other.signal.signal_id != accepted.signal.signal_id
    again = one(event(kind, objectId="abc", surprise={"a": [1]}, eventId=7, attemptNumber=1, subscriptionId=8))
    assert again.signal.signal_id == accepted.signal.signal_id


DAY_AHEAD = int((RECEIVED_AT + timedelta(days=1)).timestamp() * 1000)
START_OF_2006 = 1136073600000
BIG = 2**63
REFUSED = [
    (None, "not_an_object"),
    (7, "not_an_object"),
    ([event()], "not_an_object"),
    ("deal.creation", "not_an_object"),
    (event(subscriptionType=None), "missing_type"),
    (event(subscriptionType=""), "missing_type"),
    (event(subscriptionType=["deal.creation"]), "missing_type"),
    (event(subscriptionType=None, eventType=1), "missing_type"),
    (event(portalId=None), "missing_portal"),
    (event(portalId="acme"), "bad_id"),
    (event(occurredAt=None), "bad_time"),
    (event(occurredAt=str(OCCURRED_AT)), "bad_time"),
    (event(occurredAt=float(OCCURRED_AT)), "bad_time"),
    (event(occurredAt=True), "bad_time"),
    (event(occurredAt=OCCURRED_AT // 1000), "bad_time"),
    (event(occurredAt=START_OF_2006 - 1), "bad_time"),
    (event(occurredAt=DAY_AHEAD + 1), "bad_time"),
    (event(occurredAt=-1), "bad_time"),
    (event(occurredAt=2**63 - 1), "bad_time"),
    (event(objectId=None), "missing_field"),
    (event(propertyName=None), "missing_field"),
    (event(propertyName=""), "missing_field"),
    (event(propertyName=5), "missing_field"),
    (event(propertyValue={"from": 1}), "bad_field"),
    (event(changeSource=[]), "bad_field"),
    (event(sourceId={}), "bad_field"),
    (event(objectId="12a"), "bad_id"),
    (event(objectId=""), "bad_id"),
    (event(objectId="²"), "bad_id"),
    (event(objectId=1.5), "bad_id"),
    (event(objectId=True), "bad_id"),
    (event(objectId=-1), "bad_id"),
    (event(objectId=str(BIG)), "bad_id"),
    (event(objectId="9" * 5000), "bad_id"),
    (event(objectId=BIG), "number_too_large"),
    (event(objectId=10**400), "number_too_large"),
    (event(eventId="x"), "bad_id"),
    (event(subscriptionId=[]), "bad_id"),
    (event(appId=0.5), "bad_id"),
    (event(attemptNumber="first"), "bad_id"),
    (event("deal.creation", objectId=None), "missing_field"),
    (event("conversation.newMessage"), "missing_field"),
    (event("object.creation"), "missing_field"),
    (event("object.creation", objectTypeId=3), "bad_field"),
    (event("object.creation", objectTypeId="0 3"), "bad_field"),
    (association(fromObjectId=None), "missing_field"),
    (association(toObjectId=None), "missing_field"),
    (association(toObjectId="x"), "bad_id"),
    (association(associationRemoved=None), "missing_field"),
    (association(associationRemoved="no"), "missing_field"),
    (association(["x"]), "bad_field"),
    (event("deal.merge", objectId=None), "missing_field"),
    (event("deal.merge", mergedObjectIds=5), "bad_field"),
    (event("deal.merge", mergedObjectIds=[5, "x"]), "bad_id"),
    (event("deal.merge", mergedObjectIds=[None]), "bad_id"),
    (event(propertyValue="a\0b"), "nul_byte"),
    (event(propertyValue="\ud800"), "bad_unicode"),
    (event(**{"\udfff": 1}), "bad_unicode"),
]


@pytest.mark.parametrize(("sample", "reason"), REFUSED)
def test_what_can_not_be_a_signal_is_refused_with_a_reason(sample, reason):
    refused = refusal(sample)
    assert refused.reason == reason
    assert refused.detail
    assert refused.fragment == json.dumps(sample).encode()


@pytest.mark.parametrize("value", [START_OF_2006, DAY_AHEAD])
def test_the_bounds_of_time_are_within(value):
    assert one(event(occurredAt=value)).signal.fired_at == datetime.fromtimestamp(value / 1000, UTC)


@pytest.mark.parametrize("value", [0, 2**63 - 1, "0", str(2**63 - 1), "007"])
def test_ids_are_integers_or_digits_of_at_most_64_bits(value):
    assert one(event(objectId=value)).signal.deal_id == str(int(value))


def test_a_refusal_says_what_was_expected():
    assert "fromObjectId" in refusal(association(fromObjectId=None)).detail
    assert "epoch milliseconds" in refusal(event(occurredAt=1)).detail
    assert "object.creation needs objectTypeId" in refusal(event("object.creation")).detail


def test_one_deployment_serves_one_account():
    foreign = refusal(event(portalId=11), hubspot_portal_id=PORTAL)
    assert foreign.reason == "foreign_account"
    assert PORTAL in foreign.detail
    assert one(event(), hubspot_portal_id=PORTAL).suppressed is None
    assert one(event(portalId=11)).suppressed is None


def test_a_refused_event_leaves_its_neighbours_alone():
    mixed = results(event(), 5, event(objectId="x"), event("deal.creation"), event(portalId=None))
    assert [isinstance(result, Accepted) for result in mixed] == [True, False, False, True, False]
    assert mixed[1].fragment == b"5"


def test_a_fragment_is_the_text_as_sent():
    odd = ['{"a" : 1e999, "b":"\\ud800\\u0000"}', '{ "n":123456789012345678901234567890.50 }', '"ü [,] \\" }"']
    body = ("\r\n[ \t" + odd[0] + " ,\n" + json.dumps(event()) + "," + odd[1] + " , " + odd[2] + "\n ]\n").encode()
    got = list(source().normalise(delivery(body)))
    assert [result.fragment for result in got if isinstance(result, Refused)] == [text.encode() for text in odd]
    assert isinstance(got[1], Accepted)


@pytest.mark.parametrize("depth", [31, 32, 50, *range(850, 1000), 100_000])
def test_deep_nesting_is_refused_and_does_not_crash(depth):
    deep = json.dumps(event()).removesuffix("}") + ', "deep": ' + "[" * depth + "]" * depth + "}"
    try:
        (got,) = source().normalise(delivery(f"[{deep}]".encode()))
    except BadPayload as error:
        got = error
    if isinstance(got, Accepted):
        assert depth == 31
    else:
        assert got.reason == "nested_too_deep"
    # Near the interpreter's own limit the body may be beyond reading; below it only the event is refused.
    assert isinstance(got, BadPayload) or depth < 1000
    assert not isinstance(got, BadPayload) or depth > 800
    assert not isinstance(got, Refused) or got.fragment == deep.encode()


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: f" \n{text}\r\n"])
def test_a_single_event_counts_as_an_array_of_one(wrap):
    (accepted,) = source().normalise(delivery(wrap(json.dumps(event())).encode()))
    assert accepted == one(event())
    (refused,) = source().normalise(delivery(wrap(json.dumps({"eventType": "deal.creation"})).encode()))
    assert (refused.reason, refused.fragment) == ("missing_portal", b'{"eventType": "deal.creation"}')


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{}", "unexpected_shape"),
        (b'{"events": []}', "unexpected_shape"),
        (b"null", "unexpected_shape"),
        (b'"deal.creation"', "unexpected_shape"),
        (b"7", "unexpected_shape"),
        (b"[{]", "not_json"),
        (b"[NaN]", "not_json"),
        (b"\xff[]", "not_utf8"),
        (b"\xef\xbb\xbf[]", "not_json"),
    ],
)
def test_a_body_of_another_shape_is_bad(body, reason):
    with pytest.raises(BadPayload) as caught:
        source().normalise(delivery(body))
    assert caught.value.reason == reason


@pytest.mark.parametrize("length", [0, 1, 101, 3000])
def test_an_array_may_have_any_length(length):
    got = results(*(event(objectId=number) for number in range(length)))
    assert len({result.signal.signal_id for result in got if isinstance(result, Accepted)}) == length


def test_doubled_subscriptions_are_one_signal():
    ids = [one(sample).signal.signal_id for sample in payload_file("doubled_subscriptions")]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert ids[0] != ids[2]


def test_signal_ids_do_not_change_between_releases():
    # A deploy in the middle of a vendor's retries must still know its duplicates.
    ids = {
        "deal.propertyChange": "d08bd572-00f9-8ac8-be43-a7282737f1dc",
        "deal.associationChange": "ef47058a-2886-80e3-a181-c3e8302e7aa3",
        "deal.merge": "d913b6e6-1deb-8670-a1a1-506dbb09ff8d",
        "conversation.newMessage": "b07565cf-6f63-8d70-ad75-6c2114881e90",
    }
    assert {kind: str(one(SAMPLES[kind]).signal.signal_id) for kind in ids} == ids


def test_labels_and_their_categories_tell_associations_apart():
    generic = {"kind": "object.associationChange", "fromObjectTypeId": "0-3", "toObjectTypeId": "0-1"}
    labels = [(3, "HUBSPOT_DEFINED"), (3, "USER_DEFINED"), (5, "HUBSPOT_DEFINED"), (None, None)]
    ids = {
        one(association(None, associationTypeId=number, associationCategory=category, **generic)).signal.signal_id
        for number, category in labels
    }
    assert len(ids) == len(labels)


NUMBERS = st.integers(min_value=0, max_value=2**40)
KINDS = st.sampled_from(sorted(SAMPLES))


@EXAMPLES
@given(kind=KINDS, event_id=NUMBERS, subscription_id=NUMBERS, attempt=st.integers(0, 10))
def test_a_retry_or_second_subscription_gives_the_same_id(kind, event_id, subscription_id, attempt):
    again = SAMPLES[kind] | {"eventId": event_id, "subscriptionId": subscription_id, "attemptNumber": attempt}
    assert one(again).signal.signal_id == one(SAMPLES[kind]).signal.signal_id


@EXAMPLES
@given(kind=KINDS, shift=st.integers(1, 10_000), portal=st.integers(1, 2**40))
def test_another_time_or_account_gives_another_id(kind, shift, portal):
    sample = SAMPLES[kind]
    moved = sample | {"occurredAt": sample["occurredAt"] + shift}
    elsewhere = sample | {"portalId": sample["portalId"] + portal}
    assert len({one(one_of).signal.signal_id for one_of in (sample, moved, elsewhere)}) == 3


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)


@EXAMPLES
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS, NUMBERS), min_size=2, max_size=6, unique=True))
def test_another_property_value_or_object_gives_another_id(pairs):
    ids = {
        one(event(propertyName=name, propertyValue=value, objectId=number)).signal.signal_id
        for name, value, number in pairs
    }
    assert len(ids) == len(pairs)


@EXAMPLES
@given(merged=st.lists(NUMBERS, min_size=1, max_size=5, unique=True), data=st.data())
def test_the_order_of_merged_records_does_not_matter(merged, data):
    shuffled = data.draw(st.permutations(merged))
    first, second = (one(event("deal.merge", primaryObjectId=1, mergedObjectIds=ids)) for ids in (merged, shuffled))
    assert first.signal.signal_id == second.signal.signal_id


@EXAMPLES
@given(
    sides=st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), min_size=2, max_size=5, unique=True),
)
def test_another_pair_or_direction_of_an_association_gives_another_id(sides):
    ids = {
        one(association(fromObjectId=left, toObjectId=right, associationRemoved=removed)).signal.signal_id
        for left, right, removed in sides
    }
    assert len(ids) == len(sides)


ANY_TEXT = st.text(st.characters(), max_size=8)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({name for sample in SAMPLES.values() for name in sample} | {"eventType", "objectTypeId"})
ALTERED = st.builds(
    lambda kind, changes, dropped: {
        name: value for name, value in (SAMPLES[kind] | changes).items() if name not in dropped
    },
    KINDS,
    st.dictionaries(st.sampled_from(FIELDS), ANY_JSON, max_size=4),
    st.sets(st.sampled_from(FIELDS), max_size=3),
)


def assert_sound(result: Accepted | Refused) -> None:
    if isinstance(result, Accepted):
        check_storable(result.signal.payload)
        assert result.signal.received_at == RECEIVED_AT
    else:
        assert result.reason.isidentifier()
        json.loads(result.fragment)


@settings(max_examples=300, deadline=None)
@given(events=st.lists(ALTERED | ANY_JSON, max_size=4))
def test_every_element_gives_exactly_one_result(events):
    got = results(*events)
    assert len(got) == len(events)
    for result, sample in zip(got, events, strict=True):
        assert_sound(result)
        if isinstance(result, Refused):
            assert json.loads(result.fragment) == json.loads(json.dumps(sample))


@EXAMPLES
@given(value=ANY_JSON | ALTERED)
def test_any_json_value_is_read_or_bad(value):
    try:
        got = source().normalise(delivery(json.dumps(value).encode()))
    except BadPayload:
        assert not isinstance(value, list)
    else:
        assert len(got) == (len(value) if isinstance(value, list) else 1)


@EXAMPLES
@given(body=st.binary(max_size=60))
def test_any_bytes_are_read_or_bad(body):
    try:
        got: list[Any] = source().normalise(delivery(body))
    except BadPayload as error:
        got = [error]
    # Nothing that short can be a whole event.
    assert all(isinstance(result, Refused | BadPayload) for result in got)


PATHS = st.text(string.ascii_letters + string.digits + "-._~/", max_size=30).map("/".__add__)
BODIES = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
SECRETS = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=40)


def signed(path: str, body: str, secret: str, sent_at: datetime) -> InboundRequest:
    """A webhook signed by HubSpot's own library."""
    timestamp = str(int(sent_at.timestamp() * 1000))
    value = Signature.get_signature(secret, body, "v3", PUBLIC_URL + path, "POST", timestamp)
    headers = {"x-hubspot-signature-v3": value, "x-hubspot-request-timestamp": timestamp}
    return InboundRequest("POST", path, headers, body.encode(), RECEIVED_AT)


@EXAMPLES
@given(path=PATHS, body=BODIES, secret=SECRETS, seconds=st.integers(-299, 299), other=SECRETS)
def test_verify_agrees_with_the_official_library(path, body, secret, seconds, other):
    inbound = signed(path, body, secret, RECEIVED_AT + timedelta(seconds=seconds))
    source(hubspot_client_secret=(other, secret), public_url=PUBLIC_URL).verify(inbound)
    with pytest.raises(Unauthorised):
        source(hubspot_client_secret=(other + "x" + secret,), public_url=PUBLIC_URL).verify(inbound)


@EXAMPLES
@given(path=PATHS, body=BODIES, secret=SECRETS, method=st.sampled_from(["GET", "POST", "PUT"]))
def test_all_three_versions_agree_with_the_official_library(path, body, secret, method):
    uri, raw, at = PUBLIC_URL + path, body.encode(), "1767225601001"
    assert signature.v1(secret, raw) == Signature.get_signature(secret, body, "v1")
    assert signature.v2(secret, method, uri, raw) == Signature.get_signature(secret, body, "v2", uri, method)
    official = Signature.get_signature(secret, body, "v3", uri, method, at)
    assert signature.v3(secret, method, uri, raw, at) == official


@EXAMPLES
@given(
    headers=st.dictionaries(
        st.sampled_from(
            [
                "x-hubspot-signature-v3",
                "x-hubspot-signature",
                "x-hubspot-signature-version",
                "x-hubspot-request-timestamp",
            ]
        ),
        ANY_TEXT | st.just("v1"),
    )
)
def test_no_headers_make_verify_crash(headers):
    inbound = InboundRequest("POST", "/webhooks/hubspot", headers, b"[]", RECEIVED_AT)
    strict = source(hubspot_client_secret=(SECRET,), public_url=PUBLIC_URL, hubspot_legacy_signatures=("v1", "v2"))
    with pytest.raises(Unauthorised):
        strict.verify(inbound)


def test_the_source_reads_its_settings_for_the_check():
    body = json.dumps([event()])
    inbound = signed("/webhooks/hubspot", body, SECRET, RECEIVED_AT)
    with pytest.raises(SourceNotConfigured, match="HUBSPOT_CLIENT_SECRET"):
        source(public_url=PUBLIC_URL).verify(inbound)
    with pytest.raises(SourceNotConfigured, match="PUBLIC_URL"):
        source(hubspot_client_secret=(SECRET,)).verify(inbound)
    old = InboundRequest(
        "POST",
        "/webhooks/hubspot",
        {
            "x-hubspot-signature": Signature.get_signature(SECRET, body, "v1"),
            "x-hubspot-signature-version": "v1",
        },
        body.encode(),
        RECEIVED_AT,
    )
    source(hubspot_client_secret=(SECRET,), hubspot_legacy_signatures=("v1",)).verify(old)
    with pytest.raises(Unauthorised):
        source(hubspot_client_secret=(SECRET,)).verify(old)
