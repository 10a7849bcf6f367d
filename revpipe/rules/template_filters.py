"""How facts look inside texts, and the few filters of templates. None of them fails, whatever it is given."""

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from jinja2 import Undefined

from revpipe.rules.deal_facts import moment

MAX_TEXT: Final = 4000
MAX_INSERT: Final = 1000
MAX_ITEMS: Final = 50
# Not strftime's names: those change with the locale of the machine.
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MOST: Final = 2**63 - 1
_UNSTORABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def shown(value: Any) -> str:
    """A value as it stands in the middle of a text: nothing if absent, lists with commas, bounded in length."""
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:g}" if math.isfinite(value) else ""
    if isinstance(value, int):
        return str(value) if abs(value) <= _MOST else ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return ", ".join(shown(item) for item in value[:MAX_ITEMS])[:MAX_INSERT]
    return clean(str(value))[:MAX_INSERT]


def bounded(value: Any, depth: int = 0) -> Any:
    """A value that stands alone, kept in its type but fit for JSON and PostgreSQL and bounded in size."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MOST else None
    if isinstance(value, Undefined):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list) and depth < 3:
        return [bounded(item, depth + 1) for item in value[:MAX_ITEMS]]
    if isinstance(value, dict) and depth < 3:
        return {clean(str(key)): bounded(item, depth + 1) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, datetime):
        return value.isoformat()
    return clean(str(value))[:MAX_TEXT]


def clean(text: str) -> str:
    """Text without control characters and half surrogates; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return _UNSTORABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def number(value: Any) -> Any:
    """60000.0 as 60,000; at most one decimal."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
        return value
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:,.1f}"


def day(value: Any) -> Any:
    """A time as its UTC day, 2026-01-15."""
    at = moment(value)
    return at.date().isoformat() if at else value


def date(value: Any) -> Any:
    """A time as its UTC day in words, 15 Jan 2026."""
    at = moment(value)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}" if at else value


def first(value: Any) -> Any:
    """A list's first item, None if it is empty."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def bullets(value: Any) -> Any:
    """A list as lines that each begin with a dash."""
    if not isinstance(value, list):
        return value
    return "\n".join("- " + re.sub(r"\s+", " ", shown(item)) for item in value[:MAX_ITEMS])


def words(value: Any) -> Any:
    """A list as one text: a, b and c."""
    if not isinstance(value, list):
        return value
    items = [shown(item) for item in value[:MAX_ITEMS]]
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


FILTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "number": number,
    "day": day,
    "date": date,
    "first": first,
    "bullets": bullets,
    "words": words,
}
