"""Made-up facts of every field's type, on which rules are tried when they are loaded."""

from datetime import UTC, datetime
from typing import Any, Final

from revpipe.rules.fields import FIELDS, Field

_TEXTS: Final = ("x", "12.5", "2026-01-15T09:00:00+00:00")
_INTS: Final = (0, 7, 40)
_FLOATS: Final = (0.5, 12.5, 60000.0)
_TIMES: Final = ("2026-01-15T09:00:00+00:00", "2026-02-28T23:59:59+00:00", "2025-12-31T00:00:00+00:00")
_RECORD: Final = {"rule": "some-rule", "type": "create_task", "event": "deal.amount_changed", "fired_at": _TIMES[0]}
COUNT: Final = len(_TEXTS)


def sample(number: int) -> dict[str, Any]:
    """The `number`-th made-up facts, with every field present; the first uses the fields' own examples."""
    made: dict[str, Any] = {
        root: {name: _value(field, number) for name, field in fields.items()} for root, fields in FIELDS.items()
    }
    made["now"] = datetime(2026, 1, 20, 12, tzinfo=UTC)
    return made


def absent() -> dict[str, Any]:
    """Facts in which nothing is known but the time."""
    made: dict[str, Any] = {root: dict.fromkeys(fields) for root, fields in FIELDS.items()}
    made["now"] = datetime(2026, 1, 20, 12, tzinfo=UTC)
    return made


def _value(field: Field, number: int) -> Any:
    text = field.example if number == 0 and field.example else _TEXTS[number]
    by_type = {
        "text": text,
        "int": _INTS[number],
        "float": _FLOATS[number],
        "bool": number % 2 == 0,
        "time": _TIMES[number],
        "texts": [text, "y", "z"],
        "maps": [{key: _RECORD.get(key, text) for key in field.keys}] * 2,
    }
    return by_type[field.type]
