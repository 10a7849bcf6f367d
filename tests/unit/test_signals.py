"""The canonical signal and the ids that follow from what identifies a thing."""

import dataclasses
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revpipe.signals import Signal, stable_id, subject_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
PARTS = st.lists(st.none() | st.text(max_size=8) | st.integers(), max_size=4)


def a_signal(**changes: Any) -> Signal:
    values: dict[str, Any] = {
        "signal_id": uuid.UUID(int=1),
        "signal_type": "crm_event",
        "event": "deal.created",
        "source": "hubspot",
        "payload": {},
        "urgency": "standard",
        "confidence": 1.0,
        "fired_at": AT,
        "received_at": AT,
        "delivery_id": uuid.UUID(int=2),
        "correlation_id": uuid.UUID(int=3),
    }
    return Signal(**{**values, **changes})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"signal_type": "rumour"}, "unknown signal type 'rumour'"),
        ({"urgency": "later"}, "unknown urgency 'later'"),
        ({"confidence": 1.01}, "not within 0 to 1"),
        ({"confidence": -0.1}, "not within 0 to 1"),
        ({"confidence": float("nan")}, "not within 0 to 1"),
        ({"fired_at": datetime(2026, 3, 1)}, "fired_at has no time zone"),  # noqa: DTZ001
        ({"received_at": datetime(2026, 3, 1)}, "received_at has no time zone"),  # noqa: DTZ001
    ],
)
def test_a_signal_that_makes_no_sense_cannot_be_made(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        a_signal(**change)


def test_a_signal_is_never_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_signal().urgency = "low"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("ids", "subject"),
    [
        (("1", "2", "3"), "deal:1"),
        ((None, "2", "3"), "account:2"),
        (("", None, "3"), "contact:3"),
        ((None, None, None), None),
    ],
)
def test_the_subject_is_the_narrowest_thing_known(ids: tuple[str | None, ...], subject: str | None) -> None:
    deal, account, contact = ids
    assert subject_of(deal, account, contact) == subject
    made = a_signal(deal_id=deal, account_id=account, contact_id=contact)
    assert made.subject == (subject or f"signal:{made.signal_id}")


def test_an_id_stays_the_same_from_release_to_release() -> None:
    assert stable_id("hubspot", 1, None) == uuid.UUID("f77634a2-8d26-87c2-920b-a87113eb9483")


@given(PARTS, PARTS)
def test_ids_are_equal_exactly_if_the_parts_are(left: list[object], right: list[object]) -> None:
    same = [None if part is None else str(part) for part in left] == [
        None if part is None else str(part) for part in right
    ]
    assert (stable_id(*left) == stable_id(*right)) == same


@pytest.mark.parametrize(
    ("left", "right"),
    [(("ab", "c"), ("a", "bc")), ((None,), ("",)), (("a",), ("a", "")), ((None,), ("\0",)), ((), ("",))],
)
def test_parts_do_not_run_into_each_other(left: tuple[object, ...], right: tuple[object, ...]) -> None:
    assert stable_id(*left) != stable_id(*right)


@given(PARTS)
def test_an_id_is_a_uuid_of_version_eight(parts: list[object]) -> None:
    made = stable_id(*parts)
    assert (made.version, made.variant) == (8, uuid.RFC_4122)
