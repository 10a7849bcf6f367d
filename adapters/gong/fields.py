"""Reading Gong's JSON leniently: every field is optional there, and new ones come without notice."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_MILLISECONDS_FROM: Final = 10**11


def text(value: Any) -> str | None:
    """A non-empty text without surrounding blanks; whole numbers count, since ids may come as either."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def word(value: Any) -> str | None:
    """A text in lower case: Gong's enumerations differ in case between its pages and its traffic."""
    found = text(value)
    return found.lower() if found else None


def number(value: Any) -> int | float | None:
    """A finite number that is not negative (counts and durations)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def flag(value: Any) -> bool:
    """True for true and "true": Gong writes some booleans as text."""
    return value is True or word(value) == "true"


def record(value: Any) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def records(value: Any) -> list[dict[str, Any]]:
    """Those items of a list that are objects."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def moment(value: Any) -> datetime | None:
    """Aware UTC from ISO 8601 with an offset or from epoch seconds or milliseconds; None for anything else.

    Gong's schema says ISO 8601, the example in its API reference shows epoch integers. A time without an
    offset is not taken: guessing the zone would move the window by hours.
    """
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
            return at.astimezone(UTC) if at.tzinfo else None
        seconds = number(value)
        if seconds is None:
            return None
        return datetime.fromtimestamp(seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def later(at: datetime, seconds: int | float) -> datetime | None:
    """`at` plus `seconds`, None where the calendar ends."""
    try:
        return at + timedelta(seconds=seconds)
    except OverflowError:
        return None
