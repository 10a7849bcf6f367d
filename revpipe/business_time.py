"""Hours of the day as the business keeps them: when people work, and when nobody is to be disturbed."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOOK_AHEAD: Final = 400
"""Days within which a period of work must end: more than any that policy allows takes."""


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """From when to when, on which days (0 is Monday), people of one zone work."""

    days: frozenset[int]
    opens: time
    closes: time
    zone: tzinfo

    def after(self, start: datetime, lasts: timedelta) -> datetime:
        """When `lasts` of working time are over that begin to count at `start`. Aware UTC.

        Measured by real time, so that a day on which the clocks change is as long as it is.
        """
        left, now = lasts, start
        day = start.astimezone(self.zone).date()
        for _ in range(LOOK_AHEAD):
            if day.weekday() in self.days:
                opens = self._at(day.toordinal(), self.opens)
                closes = self._at(day.toordinal(), self.closes)
                begins = max(now, opens)
                if begins < closes:
                    if left <= closes - begins:
                        return begins + left
                    left -= closes - begins
            day += timedelta(days=1)
        return start + lasts

    def _at(self, ordinal: int, at: time) -> datetime:
        day = datetime.fromordinal(ordinal).date()
        return datetime.combine(day, at, self.zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From when to when, each day in one zone, nothing is sent; it may go over midnight."""

    begins: time
    ends: time
    zone: tzinfo

    def until(self, now: datetime) -> datetime | None:
        """When the quiet hours that hold at `now` are over (aware UTC), None if none do."""
        local = now.astimezone(self.zone)
        at = local.time().replace(tzinfo=None)
        inside = self.begins <= at < self.ends if self.begins < self.ends else at >= self.begins or at < self.ends
        if not inside:
            return None
        day = local.date() + timedelta(days=1 if at >= self.ends else 0)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)
