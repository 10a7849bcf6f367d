"""What the LLM wrote for one deal, as templates that fit the next."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from revpipe.rules.expressions import Facts, lookup

NAMED: Final = {
    "contact.email": "{{ contact.email }}",
    "contact.name": "{{ contact.name or 'the contact' }}",
    "contact.first_name": "{{ contact.first_name or 'there' }}",
    "deal.name": "{{ deal.name or 'the deal' }}",
    "deal.owner_name": "{{ deal.owner_name or 'your account team' }}",
    "account.name": "{{ account.name or 'the account' }}",
    "deal.id": "{{ deal.id }}",
    "account.id": "{{ account.id }}",
    "contact.id": "{{ contact.id }}",
    "deal.owner_id": "{{ deal.owner_id }}",
    "account.owner_id": "{{ account.owner_id }}",
    "deal.stage_label": "{{ deal.stage_label or 'its stage' }}",
}
"""Fields whose value in a text is replaced by a template. Ids only stand for a whole text, not within one."""
_SHORTEST: Final = 3


def general(params: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Params with templates in the place of what belongs to one deal, account or person."""
    return {name: _general(value, facts) for name, value in params.items()}


def commonest(several: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], int]:
    """The params that came about most often, and how often."""
    counts = Counter(json.dumps(one, sort_keys=True) for one in several)
    text, count = counts.most_common(1)[0]
    found: dict[str, Any] = json.loads(text)
    return found, count


def _general(value: Any, facts: Facts) -> Any:
    if isinstance(value, Mapping):
        return {name: _general(inner, facts) for name, inner in value.items()}
    if isinstance(value, list):
        return [_general(inner, facts) for inner in value]
    return _template(value, facts) if isinstance(value, str) else value


def _template(text: str, facts: Facts) -> str:
    known = [(str(found), name) for name in NAMED if (found := lookup(facts, *name.split("."))) is not None]
    for found, name in known:
        if text == found:
            return NAMED[name]
    marks: dict[str, str] = {}
    longest_first = sorted(known, key=lambda pair: -len(pair[0]))
    for found, name in longest_first:
        if len(found) >= _SHORTEST and not name.endswith("id") and found in text:
            mark = f"\0{len(marks)}\0"
            marks[mark] = NAMED[name]
            text = text.replace(found, mark)
    # What looks like a template in the LLM's own words is text.
    text = text.replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
    for mark, template in marks.items():
        text = text.replace(mark, template)
    return text
