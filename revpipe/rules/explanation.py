"""Why each rule did or did not fire, as JSON of bounded size."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from revpipe.db import to_json
from revpipe.rules.expressions import Term
from revpipe.rules.template_filters import bounded

BUDGET: Final = 32_000
_CLIP: Final = 200
_ITEMS: Final = 10
_ITEM_CLIP: Final = 60


def explain(outcomes: Iterable[tuple[str, bool, bool, tuple[Term, ...]]]) -> list[dict[str, Any]]:
    """One record for each (rule, fired, listened, terms), in their order.

    Past the budget of characters a rule is told without its terms, as `shortened`; those that fired, then
    those that listened, spend it first.
    """
    told = list(outcomes)
    details = [[_term(term) for term in terms] for _, _, _, terms in told]
    kept = set(range(len(told))) if len(to_json(details)) <= BUDGET else _affordable(told, details)
    records: list[dict[str, Any]] = []
    for place, (rule_id, fired, listened, _) in enumerate(told):
        record: dict[str, Any] = {"rule": rule_id, "fired": fired, "listened": listened}
        if details[place]:
            record |= {"terms": details[place]} if place in kept else {"shortened": True}
        records.append(record)
    return records


def _affordable(told: Sequence[tuple[str, bool, bool, tuple[Term, ...]]], details: Sequence[Any]) -> set[int]:
    """The places whose terms fit the budget."""
    kept, left = set(), BUDGET
    for place in sorted(range(len(told)), key=lambda index: (not told[index][1], not told[index][2])):
        cost = len(to_json(details[place]))
        if cost <= left:
            left -= cost
            kept.add(place)
    return kept


def _term(term: Term) -> dict[str, Any]:
    return {
        "expression": bounded(term.expression)[: _CLIP * 2],
        "held": term.held,
        "values": {name: _clipped(value) for name, value in term.values.items()},
    }


def _clipped(value: Any, length: int = _CLIP) -> Any:
    value = bounded(value)
    if isinstance(value, str):
        return value[:length]
    if isinstance(value, list):
        return [_clipped(item, _ITEM_CLIP) for item in value[:_ITEMS]]
    if isinstance(value, dict):
        return {key[:length]: _clipped(item, _ITEM_CLIP) for key, item in list(value.items())[:_ITEMS]}
    return value
