"""Values on the wire: what is taken, and what is refused with what to write instead."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from werkzeug.exceptions import NotFound

from revpipe.web.api import paging
from revpipe.web.api.fields import Count, Id, Moment, Text, YesNo


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-03-05T09:00:00Z", datetime(2026, 3, 5, 9, tzinfo=UTC)),
        ("2026-03-05t09:00:00.25z", datetime(2026, 3, 5, 9, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-03-05T09:00:00+02:00", datetime(2026, 3, 5, 7, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_its_offset(text: str, at: datetime) -> None:
    assert Moment().deserialize(text) == at


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((Moment(), one) for one in ("2026-03-05", "2026-03-05T09:00:00", "2026-03-05 09:00:00Z", "now", 1, "")),
        *((Moment(), one) for one in ("2026-02-30T09:00:00Z", "2026-03-05T25:00:00Z", "२026-03-05T09:00:00Z")),
        *((Id(), one) for one in ("7", "{0197d0e2-7b1c-7000-8000-0123456789ab}", 7, "0197d0e27b1c7000800001234567")),
        *((Count(), one) for one in ("1.0", "1_0", " 1", "", True, 1.5, "٣", "9" * 10)),
        *((YesNo(), one) for one in ("1", "yes", "True", 1, 0, "")),
        *((Text(), one) for one in ("a\0", "\ud800", 7, None)),
    ],
)
def test_what_is_not_so_is_refused(field: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        field.deserialize(value)


def test_words_and_numbers_are_read() -> None:
    assert Count().deserialize("17") == Count().deserialize(17) == 17
    assert [YesNo().deserialize(one) for one in ("true", "false", True, False)] == [True, False, True, False]


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_leads_back_to_its_place(at: datetime, id_: Any) -> None:
    given_ = paging.cursor("signals", at, id_)
    found = paging.mark("signals", given_)
    assert found is not None
    assert (found.at, found.id) == (at, id_)
    with pytest.raises(NotFound):
        paging.mark("plans", given_)


@given(st.from_regex(r"\A[A-Za-z0-9_-]{1,60}\Z"))
def test_any_other_word_is_no_cursor(word: str) -> None:
    with pytest.raises(NotFound):
        paging.mark("signals", word)


def test_a_cursor_names_a_time_to_the_microsecond() -> None:
    at = datetime(2026, 3, 5, 9, 0, 0, 1, tzinfo=UTC)
    assert paging.position("k", paging.cursor("k", at, "x")) == (at, "x")
    assert paging.position("k", paging.cursor("k", at + timedelta(microseconds=1), "x")) != (at, "x")
