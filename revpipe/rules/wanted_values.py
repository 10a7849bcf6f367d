"""Values that a field might have so that a part of a condition holds: read off the part's own literals.

None of them is promised to do: whoever takes one asks the condition again.
"""

import ast
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.rules.cel_text import Token
from revpipe.rules.deal_facts import moment
from revpipe.rules.fields import FIELDS, Field
from revpipe.rules.vocabulary import shape

OTHER: Final = "another value"
"""Stands for any text that a condition does not name."""
ABSENT: Final = 3.0
"""What it costs to take a value away: it is the last thing that people would think of."""
MOST: Final = 300
"""How many values of one field are tried."""
_UNITS: Final = (timedelta(seconds=1), timedelta(hours=1), timedelta(days=1))
_ROUND: Final = tuple(float(sign * 10**power) for power in range(7) for sign in (1, -1))


def values(
    root: str, name: str, present: Any, parts: Sequence[Sequence[Token]], now: datetime
) -> list[tuple[float, Any]]:
    """Values of `root.name` to try, each with its price, the nearest to the present one in front; not that one itself.

    Numbers and times cost less than 1, by their distance; another text or list more, in the order in which people
    would think of them.
    """
    field = FIELDS[root][name]
    words = [item for part in parts for item in part]
    priced: dict[str, tuple[float, Any]] = {}
    for place, found in enumerate(_found(field, present, _literals(words), words, now)):
        value = shape(found, field)
        if value is not None and value != present:
            far = distance(present, value)
            priced.setdefault(repr(value), (1.0 + place / 1000 if far is None else far / (1.0 + far), value))
    nearest = sorted(priced.values(), key=lambda one: one[0])[:MOST]
    return nearest + ([(ABSENT, None)] if present is not None else [])


def distance(present: Any, value: Any) -> float | None:
    """How far apart two numbers or two times are; None where that makes no sense."""
    if _is_number(present) and _is_number(value):
        far = abs(float(value) - float(present))
        return far if math.isfinite(far) else None
    one, two = moment(present) if isinstance(present, str) else None, moment(value) if isinstance(value, str) else None
    return abs((two - one).total_seconds()) if one and two else None


def _found(field: Field, present: Any, literals: Sequence[Any], words: Sequence[Token], now: datetime) -> Iterator[Any]:
    texts = [one for one in literals if isinstance(one, str)]
    numbers = [one for one in literals if _is_number(one)]
    if field.type in ("int", "float"):
        yield from _numbers(field.type, numbers, texts)
    elif field.type == "bool":
        yield from (True, False)
    elif field.type == "time":
        yield from _times(numbers, texts, now)
    elif field.type == "text":
        yield from _texts(present, texts, numbers)
    elif field.type == "texts":
        yield from _lists(present, texts, numbers, OTHER)
    else:
        yield from _maps(field, present, texts, numbers, [word.text for word in words if word.kind == "name"])


def _numbers(kind: str, numbers: Sequence[Any], texts: Sequence[str]) -> Iterator[Any]:
    near = [*numbers, *(float(one) for one in texts if _numeric(one))]
    for number in near:
        yield number
        if kind == "float":
            yield from (round(number + 0.01, 6), round(number - 0.01, 6))
        yield from (number + 1, number - 1)
    yield from (0, *_ROUND)


def _times(numbers: Sequence[Any], texts: Sequence[str], now: datetime) -> Iterator[str]:
    lengths = [timedelta(0), *(one for one in (_length(text) for text in texts) if one is not None)]
    for number in numbers:
        if abs(number) < 100_000:
            lengths += [unit * (number + more) for unit in _UNITS[1:] for more in (-1, 0, 1)]
    for at in (now, *(found for found in map(moment, texts) if found)):
        for length in lengths:
            for step in (timedelta(0), *_UNITS):
                for moved in (length + step, length - step):
                    try:
                        yield from ((at + moved).isoformat(), (at - moved).isoformat())
                    except OverflowError:
                        continue


def _texts(present: Any, texts: Sequence[str], numbers: Sequence[Any]) -> Iterator[str]:
    yield from (*texts, OTHER)
    for number in numbers:
        yield from (str(number), str(number + 1), str(number - 1), "x" * min(max(int(number) + 1, 0), 1000))
    known = present if isinstance(present, str) else ""
    for text in texts:
        yield from (f"{known} {text}".strip(), f"{text} {known}".strip(), text + known, known + text)
        yield from (text.lower(), text.upper())
    yield from ("x", "")


def _lists(present: Any, items: Sequence[Any], numbers: Sequence[Any], filler: Any) -> Iterator[list[Any]]:
    known = list(present) if isinstance(present, list) else []
    for item in items:
        yield [*known, item]
        yield [item]
        yield [one for one in known if one != item]
    yield [*known, *items]
    yield list(items)
    yield [one for one in known if one not in items]
    yield [one for one in known if not any(str(item).casefold() in str(one).casefold() for item in items)]
    for number in numbers:
        for size in (int(number) - 1, int(number), int(number) + 1):
            if 0 <= size <= 200:
                yield [*known[:size], *([filler] * (size - len(known)))]
    yield from ([], [*known, filler], [filler])


def _maps(
    field: Field, present: Any, texts: Sequence[str], numbers: Sequence[Any], named: Sequence[str]
) -> Iterator[list[Any]]:
    keys = [name for name in dict.fromkeys(named) if name in field.keys]
    records: list[Mapping[str, str]] = [dict(zip(keys, texts, strict=False))] if len(keys) > 1 else []
    records += [{key: text} for text in texts for key in keys]
    whole: list[Mapping[str, str]] = [{key: one.get(key, "") for key in field.keys} for one in records]
    yield from _lists(present, whole, numbers, dict.fromkeys(field.keys, OTHER))
    known = list(present) if isinstance(present, list) else []
    for text in texts:
        yield [one for one in known if text not in one.values()]
    yield [one for one in known if not set(one.values()) & set(texts)]


def _literals(words: Sequence[Token]) -> list[Any]:
    """The numbers and texts that are written out, each once."""
    found: dict[tuple[str, Any], Any] = {}
    for at, word in enumerate(words):
        value: Any = None
        if word.kind == "string":
            value = _text(word.text)
        elif word.kind == "number":
            number = word.text.rstrip("uU")
            value = int(number) if number.isdecimal() else float(number)
            if at and words[at - 1].text == "-":
                value = -value
        if value is not None:
            found.setdefault((type(value).__name__, value), value)
    return list(found.values())


def _text(written: str) -> str | None:
    try:
        read = ast.literal_eval(written)
    except (SyntaxError, ValueError):
        return None
    return read if isinstance(read, str) else None


def _length(text: str) -> timedelta | None:
    try:
        return duration(text, "a length of time")
    except Misconfigured:
        return None


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
