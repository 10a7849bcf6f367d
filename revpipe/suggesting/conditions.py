"""A condition that holds for decisions that were alike, and for few of the others: found term by term."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from revpipe.rules.expressions import CompiledTerm, Facts, lookup, terms

MOST_TERMS: Final = 5
FLAGS: Final = (
    *("deal.is_closed", "deal.is_won", "deal.overdue", "deal.stage_moved_back"),
    *("signal.stale", "signal.removed", "account.is_target"),
)
WORDS: Final = (
    *("signal.property", "signal.change_source", "signal.association", "signal.said_by", "signal.new_value"),
    *("deal.stage", "deal.pipeline", "account.industry", "contact.lifecycle_stage"),
)
"""Fields whose values are few by nature. Names, ids and addresses are not among them: a rule must fit the next deal."""
NUMBERS: Final = (
    *("deal.amount", "deal.idle_days", "deal.days_to_close", "deal.days_in_stage", "deal.close_date_pushes"),
    *("signal.change_percent", "signal.score", "signal.deals_on_call", "account.open_deals", "account.employees"),
)
LISTS: Final = ("signal.competitors", "signal.next_steps", "contact.buying_roles")
GUARDS: Final = ("deal.is_closed == false", "signal.stale == false")
"""Taken wherever they hold for all: what was right for an open deal says nothing about a closed one."""
_FEW: Final = 3


def find(alike: Sequence[Facts], others: Sequence[Facts]) -> tuple[str, int]:
    """A condition in CEL that holds for all of `alike`, and for how many of `others` it holds as well.

    `true` if nothing tells them apart.
    """
    candidates = [term for text in _candidates(alike) for term in terms(text) if _all_hold(term, alike)]
    chosen = [term for term in candidates if term.expression in GUARDS]
    left = [one for one in others if all(term.test(one) is True for term in chosen)]
    while left and len(chosen) < MOST_TERMS:
        best = min(candidates, key=lambda term: _held(term, left), default=None)
        if best is None or _held(best, left) == len(left):
            break
        chosen.append(best)
        left = [one for one in left if best.test(one) is True]
    return " && ".join(term.expression for term in chosen) or "true", len(left)


def _held(term: CompiledTerm, among: Sequence[Facts]) -> int:
    return sum(term.test(one) is True for one in among)


def _all_hold(term: CompiledTerm, alike: Sequence[Facts]) -> bool:
    return all(term.test(one) is True for one in alike)


def _candidates(alike: Sequence[Facts]) -> Iterator[str]:
    for name in FLAGS:
        yield from (f"{name} == false", f"{name} == true")
    yield from (f"{name} == null" for name in ("deal.id", "deal.next_step", "contact.id"))
    yield from (f"{name} != null" for name in ("deal.id", "contact.id"))
    for name in LISTS:
        yield from (f"size({name}) > 0", f"size({name}) == 0")
    for name in WORDS:
        values = _values(alike, name)
        if values and len(values) <= _FEW:
            quoted = ", ".join(sorted(_quoted(str(value)) for value in values))
            yield f"{name} == {quoted}" if len(values) == 1 else f"{name} in [{quoted}]"
    for name in NUMBERS:
        values = _values(alike, name)
        if values:
            yield f"{name} >= {_even(min(values), math.floor)}"
            yield f"{name} <= {_even(max(values), math.ceil)}"


def _values(alike: Sequence[Facts], name: str) -> set[Any]:
    """The values of a field; none at all if it is absent anywhere."""
    root, _, field = name.partition(".")
    found = {lookup(one, root, field) for one in alike}
    return set() if None in found else found


def _even(value: float, towards: Callable[[float], int]) -> str:
    """A threshold as a person would write it: two digits, on the safe side of all that were seen."""
    size = 10 ** max(0, int(math.log10(abs(value))) - 1) if value else 1
    return str(int(towards(value / size) * size))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r") + "'"
