"""Times on the command line: what is read, and that a length without end is refused and not a traceback."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from revpipe.commands.llm import _moment
from revpipe.commands.moments import MOMENT

NOW = datetime(2026, 11, 28, 4, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_time_in_another_zone_is_that_time(text: str, at: datetime) -> None:
    assert MOMENT.convert(text, None, None) == at
    assert _moment(text, NOW) == at


def test_a_length_is_counted_from_now_or_from_the_beginning_of_its_day() -> None:
    assert abs(datetime.now(UTC) - timedelta(hours=4) - MOMENT.convert("4h ago", None, None)) < timedelta(minutes=1)
    assert _moment("12h", NOW) == datetime(2026, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize("text", ["999999d", "yesterday", "", "7", "-1d"])
def test_what_is_no_time_is_refused_with_what_may_be_written(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time; write"):
        MOMENT.convert(text, None, None)
    with pytest.raises(click.BadParameter, match="is no time; write"):
        _moment(text, NOW)
