"""Signals as JSON and back, in every version that was ever written."""

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revpipe import schemas
from revpipe.errors import BadPayload, NewerVersion
from revpipe.schemas import upcast
from revpipe.schemas.versions import VERSIONS
from revpipe.signals import SIGNAL_TYPES, URGENCIES, Signal

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=ZONES)  # noqa: DTZ001
IDS = st.none() | st.text(max_size=10)
SIGNALS = st.builds(
    Signal,
    signal_id=st.uuids(),
    signal_type=st.sampled_from(SIGNAL_TYPES),
    event=st.text(min_size=1, max_size=100),
    source=st.text(min_size=1, max_size=50),
    payload=st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=4
    ),
    urgency=st.sampled_from(URGENCIES),
    confidence=st.floats(0, 1),
    fired_at=TIMES,
    received_at=TIMES,
    delivery_id=st.uuids(),
    correlation_id=st.uuids(),
    account_id=IDS,
    deal_id=IDS,
    contact_id=IDS,
)


def record(**changes: Any) -> dict[str, Any]:
    made = {
        "schema_version": 1,
        "signal_id": "00000000-0000-0000-0000-000000000001",
        "signal_type": "crm_event",
        "event": "deal.created",
        "source": "hubspot",
        "payload": {"property": "amount"},
        "urgency": "standard",
        "confidence": 0.5,
        "fired_at": "2026-03-01T12:00:00+00:00",
        "received_at": "2026-03-01T12:00:01+00:00",
        "delivery_id": "00000000-0000-0000-0000-000000000002",
        "correlation_id": "00000000-0000-0000-0000-000000000003",
    }
    return {**made, **changes}


@given(SIGNALS)
def test_a_signal_comes_back_as_it_went(signal: Signal) -> None:
    wire = json.loads(json.dumps(schemas.dump_signal(signal)))
    assert schemas.load_signal(wire) == signal


@given(SIGNALS)
def test_a_ledger_row_gives_the_signal_whatever_else_it_holds(signal: Signal) -> None:
    row = {item.name: getattr(signal, item.name) for item in fields(Signal)}
    assert schemas.stored_signal({**row, "state": "received", "claim_id": None}) == signal


def test_ids_that_are_absent_are_none_and_unknown_fields_are_left_out() -> None:
    loaded = schemas.load_signal(record(colour="red"))
    assert (loaded.deal_id, loaded.account_id, loaded.contact_id) == (None, None, None)


@pytest.mark.parametrize("missing", [name for name in record() if name != "schema_version"])
def test_a_record_that_lacks_a_field_names_it(missing: str) -> None:
    broken = record()
    del broken[missing]
    with pytest.raises(BadPayload, match=missing) as caught:
        schemas.load_signal(broken)
    assert caught.value.reason == "breaks_schema"


@pytest.mark.parametrize(
    "change",
    [
        {"signal_id": "one"},
        {"signal_type": "rumour"},
        {"event": ""},
        {"event": "x" * 101},
        {"source": "x" * 51},
        {"urgency": None},
        {"confidence": 1.5},
        {"confidence": "high"},
        {"fired_at": "2026-03-01T12:00:00"},
        {"fired_at": "yesterday"},
        {"payload": []},
        {"deal_id": 7},
    ],
)
def test_a_field_of_the_wrong_shape_is_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(BadPayload, match=next(iter(change))):
        schemas.load_signal(record(**change))


def test_a_signal_that_breaks_its_schema_is_not_written() -> None:
    signal = schemas.load_signal(record())
    broken = Signal(**{**{item.name: getattr(signal, item.name) for item in fields(Signal)}, "event": "x" * 101})
    with pytest.raises(BadPayload, match="event"):
        schemas.dump_signal(broken)


ODD = st.one_of(
    st.fixed_dictionaries({"event": st.text(max_size=102) | st.none()}),
    st.fixed_dictionaries({"source": st.text(max_size=52) | st.none()}),
    st.fixed_dictionaries({"payload": st.lists(st.integers()) | st.none() | st.dictionaries(st.integers(), st.none())}),
    st.fixed_dictionaries({"deal_id": st.integers()}),
    st.fixed_dictionaries({"schema_version": st.integers(0, 3)}),
    st.just({}),
)


@given(SIGNALS, ODD)
def test_the_quick_check_lets_nothing_through_that_breaks_the_schema(signal: Signal, change: dict[str, Any]) -> None:
    broken = Signal(**{**{item.name: getattr(signal, item.name) for item in fields(Signal)}, **change})
    try:
        schemas.check_signal(broken)
    except BadPayload:
        assert change
    else:
        assert schemas.dump_signal(broken)


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.0, True])
def test_a_version_that_we_do_not_know_is_refused(version: object) -> None:
    with pytest.raises(BadPayload, match="this release knows 1 to 1") as caught:
        upcast.to_current(record(schema_version=version))
    assert caught.value.reason == "unknown_schema_version"


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("ahead", [1, 97])
def test_a_record_of_a_later_release_is_told_from_a_bad_one(kind: str, ahead: int) -> None:
    with pytest.raises(NewerVersion, match=f"{kind} of version"):
        upcast.to_current(record(schema_version=VERSIONS[kind] + ahead), kind)


def test_climbing_leaves_the_record_that_was_read_alone() -> None:
    given_record = record()
    climbed = upcast.to_current(given_record)
    climbed["event"] = "other"
    assert given_record["event"] == "deal.created"
