"""Facts for the tests of rules: chosen by hand, or any at all."""

import json
from typing import Any

from hypothesis import strategies as st

from revpipe.rules import samples
from revpipe.rules.book import Evaluation
from revpipe.rules.fields import EVENTS, FIELDS


def facts(event: str = "deal.stage_changed", urgency: str = "standard", **deal: Any) -> dict[str, Any]:
    made = samples.absent()
    made["signal"].update(event=event, urgency=urgency)
    made["deal"].update(deal)
    return made


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(max_size=30),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "time": st.datetimes().map(lambda at: at.isoformat() + "+00:00") | st.text(max_size=5),
    "texts": st.lists(st.text(max_size=9), max_size=4),
    "maps": st.lists(st.fixed_dictionaries({"rule": st.text(max_size=9), "type": st.text(max_size=9)}), max_size=3),
}


@st.composite
def any_facts(draw: st.DrawFn) -> dict[str, Any]:
    """Facts in which each of some fields is drawn, None among the choices, and the rest is absent."""
    made = samples.absent()
    paths = [(root, name) for root, fields in FIELDS.items() for name in fields]
    for root, name in draw(st.lists(st.sampled_from(paths), max_size=25, unique=True)):
        made[root][name] = draw(st.none() | VALUES[FIELDS[root][name].type])
    made["signal"]["event"] = draw(st.sampled_from(list(EVENTS)))
    return made


def check_answer(found: Evaluation) -> None:
    """What holds for every evaluation: a rule fires only on terms that are true, and all of it is JSON."""
    for outcome in found.outcomes:
        assert outcome.fired == (outcome.listened and all(term.held is True for term in outcome.terms))
    assert {action.rule_id for action in found.actions} <= set(found.fired)
    json.dumps(found.as_dict(), allow_nan=False)
    json.dumps([dict(action.params) for action in found.actions], allow_nan=False)
