from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hubspot.values import choices, flag, instant, integer, iso, number, same, text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("48000", 48000.0),
        ("0.6", 0.6),
        (7, 7.0),
        ("-3", -3.0),
        (None, None),
        ("", None),
        ("12 k", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        (True, None),
        ([], None),
    ],
)
def test_number(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("250", 250), ("250.0", 250), ("2.5", None), ("x", None)])
def test_integer(value, expected):
    assert integer(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("False", False), (True, True), ("yes", None)])
def test_flag(value, expected):
    assert flag(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-05-13T21:21:48Z", "2026-05-13T21:21:48Z"),
        ("2026-11-20T16:02:41.118Z", "2026-11-20T16:02:41.118Z"),
        ("2026-11-20T16:02:41.1Z", "2026-11-20T16:02:41.100Z"),
        ("2026-11-20T18:02:41+02:00", "2026-11-20T16:02:41Z"),
        ("2026-12-18", "2026-12-18T00:00:00Z"),
        ("1767225600123", "2026-01-01T00:00:00.123Z"),
        (1767225600000, "2026-01-01T00:00:00Z"),
        ("tomorrow", None),
        ("9" * 30, None),
        ("", None),
    ],
)
def test_iso(value, expected):
    assert iso(value) == expected


def test_a_time_of_its_own_kind_is_kept():
    assert iso(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("48000", "48000.0", True),
        ("", None, True),
        ("1767225600000", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("true", "True", True),
        ("198765432101", "198765432102", False),
        ("12345678901234567890", "12345678901234567891", False),
        ("1767225600000", "2026-01-01T00:00:00.001Z", False),
        ("closedwon", "closedlost", False),
        ("0", None, False),
    ],
)
def test_same(one, other, expected):
    assert same(one, other) is expected
    assert same(other, one) is expected


@given(st.one_of(st.text(), st.none(), st.integers(), st.floats(), st.booleans(), st.lists(st.text())))
def test_nothing_that_hubspot_could_send_raises(value):
    for read in (text, number, integer, flag, instant, iso, choices):
        read(value)
    assert same(value, value)


def test_choices():
    assert choices("CHAMPION; BUDGET_HOLDER;;") == ["CHAMPION", "BUDGET_HOLDER"]
