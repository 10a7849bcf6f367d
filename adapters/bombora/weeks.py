"""The week that a row is of. Bombora's are dated by their Sunday, as far as the dates of its files are known."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from revpipe.errors import BadPayload

EARLIEST: Final = date(2014, 1, 1)
"""Bombora was founded in 2014."""
AHEAD: Final = timedelta(days=7)
_FORMATS: Final = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y")
_IN_NAME: Final = re.compile(r"(?<!\d)(20\d\d)-?(\d\d)-?(\d\d)(?!\d)")


@lru_cache(maxsize=64)
def week(word: str) -> date:
    """The Sunday on or before a day (`2026-05-03`, `20260503`, `5/3/2026`, a time after it is passed over).

    Raises BadPayload: bad_week.
    """
    day = re.split(r"[T ]", word.strip(), maxsplit=1)[0]
    for form in _FORMATS:
        try:
            return sunday(datetime.strptime(day, form).replace(tzinfo=UTC).date())
        except ValueError:
            continue
    raise BadPayload("bad_week", f"{word[:40]!r} is no day; write it as YYYY-MM-DD")


def week_in_name(name: str) -> date | None:
    """The week in a file's name (`MasterSurgeFile_20260503_1.csv`), None if there is none."""
    for year, month, day in _IN_NAME.findall(name):
        try:
            return sunday(date(int(year), int(month), int(day)))
        except ValueError:
            continue
    return None


def check(found: date, today: date) -> None:
    """Raise BadPayload for a week that can't have been measured by `today`."""
    if not EARLIEST <= found <= today + AHEAD:
        raise BadPayload("bad_week", f"the week of {found} is not between {EARLIEST} and {today + AHEAD}")


def sunday(day: date) -> date:
    """The Sunday on or before `day`."""
    return day - timedelta(days=day.isoweekday() % 7)
