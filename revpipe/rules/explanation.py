"""Why each rule did or did not fire, as JSON of bounded size."""

import json
from collections.abc import Iterable
from typing import Any, Final

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
    records: dict[int, dict[str, Any]] = {}
    left = BUDGET
    for place in sorted(range(len(told)), key=lambda index: (not told[index][1], not told[index][2])):
        rule_id, fired, listened, terms = told[place]
        record: dict[str, Any] = {"rule": rule_id, "fired": fired, "listened": listened}
        detail = [_term(term) for term in terms]
        cost = len(json.dumps(detail, ensure_ascii=False))
        if detail and cost <= left:
            left -= cost
            record["terms"] = detail
        elif detail:
            record["shortened"] = True
        records[place] = record
    return [records[place] for place in range(len(told))]


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
