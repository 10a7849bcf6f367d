"""Times as the vendors write them; inside the sandbox a time is a whole number of milliseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ms: int) -> str:
    """ISO 8601 in UTC; like HubSpot, without a fraction when it is zero."""
    text = (_EPOCH + timedelta(milliseconds=ms)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = ms % 1000
    return f"{text}.{fraction:03d}Z" if fraction else f"{text}Z"


def to_ms(at: datetime) -> int:
    """Milliseconds of an aware time."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def parse_ms(value: Any) -> int:
    """Milliseconds from a number, its digits as text, or ISO 8601. Raises ValueError."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"{value!r} is not a time")
    if isinstance(value, int):
        return value
    text = str(value).strip()
    if text.lstrip("-").isdigit():
        return int(text)
    at = datetime.fromisoformat(text)
    return to_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
