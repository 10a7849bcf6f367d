"""Conditions: three-valued answers, terms, and every fault that loading must find."""

from typing import Any

import pytest

from revpipe.rules import samples
from revpipe.rules.expression_checks import condition_faults
from revpipe.rules.expressions import Term, terms


def held(condition: str, **fields: Any) -> bool | None:
    """The answer of a condition that is one term, with the given deal fields and the rest absent."""
    (term,) = terms(condition)
    return term.ask(facts(**fields)).held


def facts(**fields: Any) -> dict[str, Any]:
    made = samples.absent()
    made["deal"].update(fields)
    return made


@pytest.mark.parametrize(
    ("condition", "fields", "answer"),
    [
        ("deal.idle_days > 10", {"idle_days": 11}, True),
        ("deal.idle_days > 10", {"idle_days": 10}, False),
        ("deal.idle_days > 10", {}, None),
        ("deal.name != 'x'", {}, None),
        ("deal.name == 'x'", {}, None),
        ("!(deal.name == 'x')", {}, None),
        ("!deal.is_closed", {}, None),
        ("!deal.is_closed", {"is_closed": False}, True),
        ("deal.name in ['x']", {}, None),
        ("deal.amount == null", {}, True),
        ("null == deal.amount", {}, True),
        ("deal.amount != null", {}, False),
        ("deal.amount != null", {"amount": 0.0}, True),
        ("!(deal.amount == null)", {}, False),
        ("deal.amount == null || deal.amount > 5", {}, True),
        ("deal.amount == null || deal.amount > 5", {"amount": 3.0}, False),
        ("deal.amount > 5 || deal.is_won", {"is_won": True}, True),
        ("deal.amount > 5 || deal.is_won", {"is_won": False}, None),
        ("!(deal.amount > 5 && deal.is_won)", {"is_won": False}, True),
        ("!(deal.amount > 5 && deal.is_won)", {"is_won": True}, None),
        ("size(deal.contact_ids) == 0", {"contact_ids": []}, True),
        ("deal.contact_ids[2] == '7'", {"contact_ids": ["1"]}, None),
        ("timestamp(deal.close_date) > now", {"close_date": "2026-03-01T00:00:00+00:00"}, True),
        ("timestamp(deal.close_date) > now", {"close_date": "soon"}, None),
    ],
)
def test_an_answer_is_true_false_or_not_known(condition: str, fields: dict[str, Any], answer: bool | None) -> None:
    assert condition_faults(condition) == []
    assert held(condition, **fields) is answer


def test_a_condition_is_cut_at_its_outer_ands_only() -> None:
    cut = terms("(deal.is_won && deal.amount > 1 && deal.name == 'a && b || c' && (deal.overdue || deal.is_closed))")
    assert [term.expression for term in cut] == [
        "deal.is_won",
        "deal.amount > 1",
        "deal.name == 'a && b || c'",
        "(deal.overdue || deal.is_closed)",
    ]


def test_or_binds_weaker_than_and_so_the_whole_is_one_term() -> None:
    (term,) = terms("deal.is_won && deal.overdue || deal.is_closed")
    assert term.ask(facts(is_won=False, overdue=False, is_closed=True)).held is True


def test_not_before_a_comparison_negates_only_its_left_side() -> None:
    assert held("!deal.is_won == deal.is_closed", is_won=True, is_closed=False) is True


def test_a_term_tells_the_values_it_saw() -> None:
    (term,) = terms("deal.idle_days > 10 || deal.overdue")
    assert term.ask(facts(idle_days=12)) == Term(
        "deal.idle_days > 10 || deal.overdue", True, {"deal.idle_days": 12, "deal.overdue": None}
    )


def test_facts_without_a_root_are_not_known_either() -> None:
    (term,) = terms("deal.amount > 5")
    assert term.ask({}).held is None


@pytest.mark.parametrize(
    ("condition", "part_of_fault"),
    [
        ("deal.idle_dayz > 1", "unknown field deal.idle_dayz; did you mean deal.idle_days?"),
        ("deel.amount > 1", "unknown name deel; did you mean deal?"),
        ("budget > 1", "unknown name budget"),
        ("deal.name > 3", "compares a text with a number"),
        ("deal.name == 3", "compares a text with a number"),
        ("deal.amount == '5'", "compares a number with a text"),
        ("deal.is_won == 'yes'", "compares a yes-or-no with a text"),
        ("deal.is_won > false", "has no order"),
        ("deal.close_date < now", "timestamp(…)"),
        ("3 in contact.buying_roles", "looks for a number in a list of texts"),
        ("'a' in deal.amount", "must be a list"),
        ("deal.amount", "is a number, not a yes or no"),
        ("deal.name", "is a text, not a yes or no"),
        ("deal.amount * 2 > 10.0", "Unsupported operation"),
        ("deal.is_won && deal.amount", "deal.amount is a number"),
        ("deal.is_won || !(deal.name > 3)", "compares a text with a number"),
        ("deal.amount >", "not a CEL expression"),
        ("deal.amount = 3", "not a CEL expression"),
        ("", "the condition is empty"),
        ("lower(deal.name) == 'x'", "unknown function lower()"),
        ("deal.name.contain('x')", "unknown function contain(); did you mean contains?"),
        ("has(deal.name)", "deal.amount != null"),
        ("deal.name.matches('[')", "not a valid regex"),
        ("size(deal) > 1", "deal alone is no value"),
        ("deal['name'] == 'x'", "deal alone is no value"),
        ("deal.name.length == 3", "has no such field"),
        ("now.year == 3", "now has no such field"),
        ("history.open_actions.exists(a, a.rul == 'x')", "a has no such field"),
        ("deal.contact_ids.exists(now, now == 'x')", "choose another name"),
        ("(deal.amount == null) == true", "null can only be tested by itself"),
        ("deal.is_won ? true : false", "write it with && and ||"),
        ("deal.amount > 1 // big", "YAML comment"),
        ("deal.name == '''x'''", "one pair of quotes"),
        ("1 < deal.amount < 5", "more than one comparison"),
        (".deal.amount > 1", "a dot needs a name"),
        ("deal.is_won && " * 20 + "deal.is_won", "more than 20 parts"),
        ("deal.name == '" + "x" * 2000 + "'", "longer than 2000"),
    ],
)
def test_a_faulty_condition_is_refused_with_a_hint(condition: str, part_of_fault: str) -> None:
    faults = condition_faults(condition)
    assert any(part_of_fault in fault for fault in faults), faults


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "deal.amount * 0.5 > 3",
        "double(signal.new_value) > 3.0",
        "now - timestamp(deal.created_at) > duration('72h') && now.getHours() < 18",
        "deal.open_task_subjects.exists(s, s.matches('(?i)price'))",
        "history.open_actions.exists(a, a.rule == 'idle' && a.type == 'create_task')",
        "signal.event in ['deal.created', 'deal.deleted']",
        "size(calls.competitors_14d) > 0 && calls.competitors_14d[0] == 'Initech'",
        "deal.name == r'C:\\x' && deal.name != \"it's\"",
    ],
)
def test_a_sound_condition_is_let_through(condition: str) -> None:
    assert condition_faults(condition) == []
