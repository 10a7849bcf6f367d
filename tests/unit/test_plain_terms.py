"""Conditions answered without CEL are answered as CEL would."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revpipe.rules import cel_text, samples
from revpipe.rules.expressions import _asked, terms
from revpipe.rules.fields import FIELDS
from revpipe.rules.plain_terms import plain, timed
from tests.unit.rule_facts import VALUES

Answer = Callable[[Mapping[str, Any]], bool | None]
NOW = samples.absent()["now"]
PLAIN = [
    "deal.amount > 50000",
    "deal.amount >= 12.5",
    "deal.amount == 0",
    "deal.amount != -3",
    "deal.idle_days <= 10",
    "7 < deal.idle_days",
    "-2 >= deal.days_to_close",
    "deal.idle_days == 2.0",
    "deal.stage == 'contractsent'",
    "deal.stage < 'm'",
    "'a' != deal.stage",
    "deal.is_closed",
    "deal.is_closed == false",
    "true != deal.is_closed",
    "'Initech' in signal.competitors",
    "signal.property in ['dealstage', 'x', '']",
    "size(signal.competitors) > 0",
    "size(signal.competitors) == 2",
    "mentions(deal.open_task_subjects, 'Call')",
    "mentions(deal.name, 'a')",
    "size(deal.name) > 3",
    "within(deal.created_at, '7d')",
    "within_next(deal.created_at, '36h')",
    "days_since(deal.created_at) > 3",
    "hours_since(deal.created_at) <= 3",
    "days_until(deal.created_at) != -2",
    "days_since(deal.name) != 3",
]
NOT_PLAIN = [
    "deal.amount > deal.probability",
    "deal.amount * 2.0 > 3.0",
    "days_since(deal.created_at) + 1 > 3",
    "within(deal.created_at, '7d') == true",
    "deal.name == 'it\\'s'",
    "deal.name == r'\\d'",
    "deal.idle_days in [1, 2]",
    "deal.name.contains('a')",
    "timestamp(deal.close_date) < now",
    "deal.idle_days > 9007199254740993",
    "signal.competitors == []",
]


@cache
def both_ways(condition: str) -> tuple[Answer, Answer]:
    """The condition as it is answered, and as CEL does; made once, for that costs more than to ask."""
    (term,) = terms(condition)
    return term.test, _asked(condition, cel_text.tokens(condition))


@cache
def field_of(condition: str) -> tuple[str, str]:
    found = plain(cel_text.tokens(condition)) or timed(cel_text.tokens(condition))
    assert found
    return found[0], found[1]


@pytest.mark.parametrize("condition", PLAIN)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_plain_condition_has_the_answer_of_cel(condition: str, data: st.DataObject) -> None:
    root, name = field_of(condition)
    words = st.sampled_from(["contractsent", "Initech", "dealstage", "a", "", "CALL me", "m", "mm"])
    near = st.integers(-9 * 24, 9 * 24).map(lambda hours: (NOW + timedelta(hours=hours)).isoformat())
    some = {"time": near, "text": words, "texts": st.lists(words, max_size=3), "int": st.integers(-12, 12)}
    kind = FIELDS[root][name].type
    value: Any = data.draw(st.none() | VALUES[kind] | some.get(kind, VALUES[kind]))
    facts = samples.absent()
    facts[root][name] = value
    quick, by_cel = both_ways(condition)
    asked = by_cel(facts)
    assert quick(facts) is asked
    if value is None:
        assert asked is None


@pytest.mark.parametrize("condition", PLAIN)
def test_these_are_plain(condition: str) -> None:
    root, name = field_of(condition)
    assert name in FIELDS[root]


@pytest.mark.parametrize("condition", NOT_PLAIN)
def test_these_are_left_to_cel(condition: str) -> None:
    assert plain(cel_text.tokens(condition)) is timed(cel_text.tokens(condition)) is None
    terms(condition)
