"""HubSpot's property values are all text; here they become numbers, flags and times, or None if they can't."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DIGITS: Final = range(12, 15)
"""Digits of an epoch millisecond between 1973 and 5138; fewer or more is some other number."""


def text(value: Any) -> str | None:
    """The value as text without blanks around it; None if there is none."""
    if isinstance(value, str):
        return value.strip() or None
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def number(value: Any) -> float | None:
    """A finite number, else None."""
    word = text(value)
    if word is None or isinstance(value, bool):
        return None
    try:
        result = float(word)
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def integer(value: Any) -> int | None:
    """A whole number (`"250"`, `"250.0"`), else None."""
    result = number(value)
    return int(result) if result is not None and result.is_integer() else None


def flag(value: Any) -> bool | None:
    """True or False from `"true"` or `"false"`, else None."""
    return {"true": True, "false": False}.get((text(value) or "").lower())


def instant(value: Any) -> datetime | None:
    """Aware UTC from ISO 8601 (a missing zone means UTC) or from epoch milliseconds, else None."""
    word = text(value)
    if word is None:
        return None
    try:
        if word[4:5] != "-" and word.lstrip("-").isdecimal():
            return _EPOCH + timedelta(milliseconds=int(word))
        at = datetime.fromisoformat(word)
        if at.tzinfo is UTC:
            return at
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def iso(value: Any) -> str | None:
    """A time as ISO 8601 UTC text, with milliseconds only if there are any."""
    at = value if isinstance(value, datetime) else instant(value)
    if at is None:
        return None
    spec = "milliseconds" if at.microsecond else "seconds"
    at = at if at.tzinfo is UTC else at.astimezone(UTC)
    return at.isoformat(timespec=spec).replace("+00:00", "Z")


def choices(value: Any) -> list[str]:
    """The choices of a multiple-choice property, which HubSpot joins by semicolons."""
    return [word.strip() for word in (text(value) or "").split(";") if word.strip()]


def same(one: Any, other: Any) -> bool:
    """Whether two texts mean one value: `48000` and `48000.0`, an epoch and its ISO form, nothing and empty."""
    first, second = text(one), text(other)
    if first == second:
        return True
    if first is None or second is None:
        return False
    if number(first) is not None and number(second) is not None:
        return number(first) == number(second) and max(len(first), len(second)) < 16
    if looks_like_time(first) and looks_like_time(second):
        return instant(first) == instant(second)
    return {first.lower(), second.lower()} in ({"true"}, {"false"})


def looks_like_time(word: str) -> bool:
    """Whether a text can be a time: epoch milliseconds, or ISO 8601 with dashes."""
    if word.isdecimal():
        return len(word) in _EPOCH_DIGITS
    return word[4:5] == "-" and instant(word) is not None
