"""What conditions have beyond CEL: lengths of time since and until, sets, and words in texts.

CEL itself has no `now`, so a call of a time helper is given it as its first argument where the condition is compiled.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.rules import deal_facts
from revpipe.rules.cel_text import Token


def days_since(now: datetime, at: Any) -> int:
    """`days_since(t)`: whole days from t to now; 0 for a time to come."""
    return max((now - _time(at)).days, 0)


def hours_since(now: datetime, at: Any) -> int:
    """`hours_since(t)`: whole hours from t to now; 0 for a time to come."""
    return int(max((now - _time(at)).total_seconds(), 0) // 3600)


def days_until(now: datetime, at: Any) -> int:
    """`days_until(t)`: calendar days (UTC) from now to t; 0 today, negative for a day that has passed."""
    return (_time(at).date() - now.date()).days


def within(now: datetime, at: Any, length: Any) -> bool:
    """`within(t, '7d')`: t lies in the 7 days up to now; false for a time to come. Also `m`, `h`."""
    lasts = _length(length)
    return now - lasts <= _time(at) <= now


def within_next(now: datetime, at: Any, length: Any) -> bool:
    """`within_next(t, '7d')`: t lies in the 7 days from now on; false for a time that has passed."""
    lasts = _length(length)
    return now <= _time(at) <= now + lasts


def any_of(items: Any, wanted: Any) -> bool:
    """`any_of(list, list)`: at least one item of the second list is in the first; false if either is empty."""
    return not set(_list(items)).isdisjoint(_list(wanted))


def all_of(items: Any, wanted: Any) -> bool:
    """`all_of(list, list)`: every item of the second list is in the first; true if the second is empty."""
    return set(_list(items)) >= set(_list(wanted))


def mentions(texts: Any, words: Any) -> bool:
    """`mentions(text or list of texts, 'words')`: the words are in it, whatever the case. Far faster than `matches`."""
    if not isinstance(words, str) or not words:
        raise ValueError("mentions: the words to look for are a text that is not empty")
    found = [texts] if isinstance(texts, str) else _list(texts)
    return any(words.casefold() in text.casefold() for text in found if isinstance(text, str))


TIME_HELPERS: Final[Mapping[str, Callable[..., Any]]] = {
    one.__name__: one for one in (days_since, hours_since, days_until, within, within_next)
}
LENGTH_HELPERS: Final = ("within", "within_next")
"""Those of them that take a length of time as well."""
HELPERS: Final[Mapping[str, Callable[..., Any]]] = {
    **TIME_HELPERS,
    **{one.__name__: one for one in (any_of, all_of, mentions)},
}


def called(items: Sequence[Token]) -> frozenset[str]:
    """The helpers that are called in `items`."""
    return frozenset(items[index].text for index in _calls(items))


def with_now(expression: str, items: Sequence[Token]) -> str:
    """The text of `items` in which each call of a time helper has `now` as its first argument."""
    if not items:
        return ""
    text, at = "", items[0].start
    for index in _calls(items):
        if items[index].text in TIME_HELPERS:
            text += expression[at : items[index + 1].end] + "now, "
            at = items[index + 1].end
    return text + expression[at : items[-1].end]


def _calls(items: Sequence[Token]) -> list[int]:
    return [
        index
        for index in range(len(items) - 1)
        if items[index].kind == "name" and items[index].text in HELPERS and items[index + 1].text == "("
    ]


def _time(value: Any) -> datetime:
    at = deal_facts.moment(value)
    if at is None:
        raise ValueError(f"{str(value)[:40]!r} is no time")
    return at


def _length(value: Any) -> timedelta:
    try:
        return duration(value, "a length of time")
    except Misconfigured as error:
        raise ValueError(str(error)) from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"a list is needed, not {str(value)[:40]!r}")
    return list(value)
