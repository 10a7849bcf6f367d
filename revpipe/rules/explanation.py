"""Why each rule did or did not fire, as JSON of bounded size."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from revpipe.db import to_json
from revpipe.rules.expressions import Term
from revpipe.rules.template_filters import bounded

BUDGET: Final = 32_000
SHADOW_BUDGET: Final = 8_000
_CLIP: Final = 200
_ITEMS: Final = 10
_ITEM_CLIP: Final = 60


def explain(outcomes: Iterable[tuple[str, bool, bool, tuple[Term, ...]]], budget: int = BUDGET) -> list[dict[str, Any]]:
    """One record for each (rule, fired, listened, terms), in their order.

    Where all terms would be more than `budget` characters, a rule that did not fire keeps only the term that kept it
    from firing, and then none; such a record is marked as `shortened`. Those that fired spend the budget first.
    """
    told = list(outcomes)
    details = [[_term(term) for term in terms] for _, _, _, terms in told]
    kept: dict[int, list[Any]] = dict(enumerate(details))
    if len(to_json(details)) > budget:
        kept = _affordable(told, details, budget)
    records: list[dict[str, Any]] = []
    for place, (rule_id, fired, listened, _) in enumerate(told):
        record: dict[str, Any] = {"rule": rule_id, "fired": fired, "listened": listened}
        if kept.get(place):
            record["terms"] = kept[place]
        if len(kept.get(place, ())) < len(details[place]):
            record["shortened"] = True
        records.append(record)
    return records


def _affordable(
    told: Sequence[tuple[str, bool, bool, tuple[Term, ...]]], details: Sequence[list[Any]], budget: int
) -> dict[int, list[Any]]:
    """The terms that fit the budget, by place."""
    kept: dict[int, list[Any]] = {}
    for place in sorted(range(len(told)), key=lambda index: (not told[index][1], not told[index][2])):
        terms = details[place]
        if not told[place][1]:
            terms = [term for term in terms if term["held"] is not True][:1]
        cost = len(to_json(terms))
        if terms and cost <= budget:
            budget -= cost
            kept[place] = terms
    return kept


def _term(term: Term) -> dict[str, Any]:
    return {
        "expression": _expression(term.expression),
        "held": term.held,
        "values": {name: clipped(value) for name, value in term.values.items()},
    }


@lru_cache(maxsize=4096)
def _expression(text: str) -> Any:
    return bounded(text)[: _CLIP * 2]


def clipped(value: Any, length: int = _CLIP) -> Any:
    """A value as the explanation keeps it: long texts and lists are cut."""
    if value is None or type(value) is bool:
        return value
    value = bounded(value)
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, list):
        return [clipped(item, _ITEM_CLIP) for item in value[:_ITEMS]]
    if isinstance(value, dict):
        return {key[:length]: clipped(item, _ITEM_CLIP) for key, item in list(value.items())[:_ITEMS]}
    return value
