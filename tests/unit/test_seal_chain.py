"""Seals as values: the one spelling, and what a changed link shows."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revpipe.seals import canonical, chain
from revpipe.seals.chain import Entry

AT = datetime(2026, 3, 5, 9, 0, 0, 250, tzinfo=UTC)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def entry(key: str = "k", **more: Any) -> Entry:
    told: dict[str, Any] = {"kind": "plan", "key": key, "parent": "s", "at": AT, "listed_at": AT, "digest": "d" * 64}
    return Entry(**(told | more))


def two() -> tuple[chain.Seal, chain.Seal]:
    first = chain.make(1, chain.NOTHING, [entry("a"), entry("b", at=AT - timedelta(hours=2))], AT)
    return first, chain.make(2, first.hash, [entry("c")], AT)


def test_the_spelling_is_fixed() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    record = {"b": [1, 2.5, 1e16, None, True], "a": 'é\n"', "at": there, "id": uuid.UUID(int=7)}
    assert canonical.text(record) == (
        '{"a":"é\\n\\"","at":"2026-03-05T09:00:00.000250Z","b":[1,2.5,1e+16,null,true],'
        '"id":"00000000-0000-0000-0000-000000000007"}'
    )
    assert canonical.digest("plan", "k", {"a": 1}) == canonical.sha256('["plan","k",{"a":1}]')


@given(ANY)
def test_what_was_written_out_and_read_again_is_spelt_the_same(value: Any) -> None:
    spelt = canonical.text(value)
    assert canonical.text(json.loads(spelt)) == spelt


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_come_back_to_the_microsecond(at: datetime) -> None:
    assert canonical.moment(canonical.stamp(at)) == at
    assert canonical.at_micros(canonical.micros(at)) == at


def test_a_seal_holds_what_it_was_made_of() -> None:
    first, second = two()
    assert (first.count, first.first_at, first.last_at) == (2, AT - timedelta(hours=2), AT)
    assert [one.key for one in first.listed()] == ["a", "b"]
    assert list(chain.faults(first, 1, chain.NOTHING)) == []
    assert list(chain.faults(second, 2, first.hash)) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"made_at": AT + timedelta(seconds=1)}, "its hash"),
        ({"count": 3}, "its hash"),
        ({"last_at": AT + timedelta(days=1)}, "its hash"),
        ({"entries": entry("x").spelt() + "\n"}, "its list"),
        ({"entries": ""}, "its list"),
        ({"hash": "0" * 64}, "its hash"),
    ],
)
def test_a_seal_that_was_altered_shows_it(change: dict[str, Any], fault: str) -> None:
    first, _ = two()
    told = list(chain.faults(replace(first, **change), 1, chain.NOTHING))
    assert any(fault in one for one in told), told


def test_a_seal_made_anew_no_longer_carries_the_next() -> None:
    _, second = two()
    forged = chain.make(1, chain.NOTHING, [entry("a")], AT)
    assert list(chain.faults(forged, 1, chain.NOTHING)) == []
    assert any("hang" in one for one in chain.faults(second, 2, forged.hash))
    assert any("seal 1 is not there" in one for one in chain.faults(second, 1, chain.NOTHING))
