"""Working time and quiet hours, over nights, weekends and days on which the clocks change."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from revpipe.business_time import BusinessHours, QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
WORK = BusinessHours(frozenset(range(5)), time(9), time(17), BERLIN)
NIGHT = QuietHours(time(20), time(8), BERLIN)


def at(text: str) -> datetime:
    """A time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "hours", "ends"),
    [
        ("2026-03-04 10:00", 4, "2026-03-04 14:00"),
        ("2026-03-04 15:00", 4, "2026-03-05 11:00"),
        ("2026-03-04 07:00", 4, "2026-03-04 13:00"),
        ("2026-03-04 13:00", 4, "2026-03-04 17:00"),
        ("2026-03-04 22:00", 1, "2026-03-05 10:00"),
        ("2026-03-06 16:00", 4, "2026-03-09 12:00"),
        ("2026-03-07 12:00", 8, "2026-03-09 17:00"),
        # The weekend on which summer time begins, and the one on which it ends.
        ("2026-03-27 16:00", 4, "2026-03-30 12:00"),
        ("2026-10-23 16:00", 4, "2026-10-26 12:00"),
        ("2026-03-02 09:00", 80, "2026-03-13 17:00"),
    ],
)
def test_only_working_time_counts(start: str, hours: int, ends: str) -> None:
    assert WORK.after(at(start), timedelta(hours=hours)) == at(ends)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-04 19:59", None),
        ("2026-03-04 20:00", "2026-03-05 08:00"),
        ("2026-03-05 07:59", "2026-03-05 08:00"),
        ("2026-03-05 08:00", None),
        ("2026-03-29 01:30", "2026-03-29 08:00"),
        ("2026-10-24 23:00", "2026-10-25 08:00"),
    ],
)
def test_quiet_hours_go_over_midnight(now: str, until: str | None) -> None:
    assert NIGHT.until(at(now)) == (at(until) if until else None)


def test_quiet_hours_within_a_day() -> None:
    lunch = QuietHours(time(12), time(13), BERLIN)
    assert lunch.until(at("2026-03-04 12:30")) == at("2026-03-04 13:00")
    assert lunch.until(at("2026-03-04 13:00")) is None
    assert lunch.until(at("2026-03-04 11:59")) is None
