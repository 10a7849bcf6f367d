"""Reading what strangers sent: everything that JSON allows and the ledger can hold, and a reason for the rest."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revpipe.errors import BadPayload
from revpipe.payloads import MAX_DEPTH, MAX_INTEGER, check_storable, parse

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def reason_of(body: bytes) -> str:
    with pytest.raises(BadPayload) as caught:
        parse(body)
    return caught.value.reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"\xff\xfe[]", "not_utf8"),
        (b'"\xed\xa0\x80"', "not_utf8"),
        (b"{", "not_json"),
        (b"[1,]", "not_json"),
        (b"[] []", "not_json"),
        (b"NaN", "not_json"),
        (b"[-Infinity]", "not_json"),
        (b"\0", "not_json"),
        (b"[" * 200_000, "nested_too_deep"),
        (b'{"a":' * 200_000, "nested_too_deep"),
    ],
)
def test_what_is_no_json_has_a_reason(body: bytes, reason: str) -> None:
    assert reason_of(body) == reason


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read, reason = parse(body), None
    except BadPayload as error:
        read, reason = None, error.reason
    assert reason in (None, "empty", "not_utf8", "not_json")
    assert reason is not None or read == json.loads(body)


@given(VALUES)
def test_what_can_be_stored_goes_through_unchanged(value: Any) -> None:
    check_storable(value)
    read = parse(json.dumps(value).encode())
    assert read == value
    check_storable(read)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": [1, {"b": "x\0"}]}, "nul_byte"),
        ({"a\0": 1}, "nul_byte"),
        (["\ud800"], "bad_unicode"),
        ({"\udfff": 1}, "bad_unicode"),
        ([2**63], "number_too_large"),
        ([-(2**63)], "number_too_large"),
        ({"a": float("inf")}, "number_too_large"),
        (nested(MAX_DEPTH), "nested_too_deep"),
        (nested(50), "nested_too_deep"),
    ],
)
def test_what_the_ledger_could_not_hold_has_a_reason(value: Any, reason: str) -> None:
    with pytest.raises(BadPayload) as caught:
        check_storable(value)
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", [nested(MAX_DEPTH - 1), MAX_INTEGER, -MAX_INTEGER, 1e308, True, "\U0001f600", None])
def test_the_edges_of_what_it_can_hold(value: Any) -> None:
    check_storable(value)


@pytest.mark.parametrize("digits", ["9" * 41, "9" * 5000, "-" + "9" * 5000])
def test_an_endless_number_does_not_take_the_whole_body_down(digits: str) -> None:
    read = parse(f'[{{"id": 1}}, {{"id": {digits}}}]'.encode())
    check_storable(read[0])
    with pytest.raises(BadPayload, match="number_too_large"):
        check_storable(read[1])
    assert (read[1]["id"] < 0) == digits.startswith("-")


def test_a_number_beyond_every_float_is_refused() -> None:
    with pytest.raises(BadPayload, match="number_too_large"):
        check_storable(parse(b"[1e999]"))
