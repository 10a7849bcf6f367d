"""Why a rule did not fire: the smallest change is found, and with it the rule does fire."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from revpipe.rules import book, samples
from revpipe.rules.rule import Rule
from revpipe.rules.why_not import WhyNot, changed, why_not
from tests.unit.rule_facts import any_facts, facts

NOW = samples.absent()["now"]


def rule_of(condition: str, on: str = "deal.stage_changed") -> book.RuleBook:
    return book.load(
        "rules:\n  - id: one\n    description: The only one.\n    owner: tests\n"
        f"    on: [{on}]\n    when: >-\n      {condition}\n    then: []\n",
        {},
    )


def ask(rules: book.RuleBook, known: Mapping[str, Any]) -> WhyNot:
    rule: Rule = rules.rules[0]
    return why_not(rule.id, rule.when, rule.terms, rule.events, known)


def told(condition: str, **deal: Any) -> dict[str, Any]:
    """Path → wanted value; the rule must fire with them, and with none of them left out."""
    rules, known = rule_of(condition), facts(**deal)
    assert rules.evaluate(known).fired == ()
    found = ask(rules, known)
    assert found.found, found.sentence
    assert rules.evaluate(changed(known, found.changes)).fired == ("one",)
    for left_out in found.changes:
        fewer = [one for one in found.changes if one is not left_out]
        assert rules.evaluate(changed(known, fewer)).fired == ()
    return {one.path: one.wanted for one in found.changes}


@pytest.mark.parametrize(
    ("condition", "deal", "wanted"),
    [
        ("deal.amount > 50000", {"amount": 1200.0}, {"deal.amount": 50000.01}),
        ("deal.amount >= 50000", {"amount": 1200.0}, {"deal.amount": 50000.0}),
        ("deal.idle_days < 7", {"idle_days": 30}, {"deal.idle_days": 6}),
        ("deal.idle_days != 7", {"idle_days": 7}, {"deal.idle_days": 8}),
        ("deal.days_to_close < -2", {"days_to_close": 40}, {"deal.days_to_close": -3}),
        ("deal.stage == 'won'", {"stage": "lost"}, {"deal.stage": "won"}),
        ("deal.stage in ['a', 'bcd']", {"stage": "lost"}, {"deal.stage": "a"}),
        ("deal.is_closed == false", {"is_closed": True}, {"deal.is_closed": False}),
        ("!deal.is_closed", {"is_closed": True}, {"deal.is_closed": False}),
        ("deal.amount * 2.0 > 3000.0", {"amount": 5.0}, {"deal.amount": 1500.01}),
        ("deal.idle_days * 2 >= 31", {"idle_days": 2}, {"deal.idle_days": 16}),
        ("deal.amount == null", {"amount": 5.0}, {"deal.amount": None}),
        ("deal.stage == 'won' && deal.amount > 10", {"amount": 5.0}, {"deal.stage": "won", "deal.amount": 10.01}),
        ("deal.stage == 'won' || (deal.amount > 10 && deal.idle_days > 3)", {}, {"deal.stage": "won"}),
        ("!(deal.stage == 'a' || deal.is_closed)", {"stage": "a", "is_closed": False}, {"deal.stage": "another value"}),
        ("deal.amount > 10 && deal.amount < 12", {"amount": 100.0}, {"deal.amount": 11.99}),
    ],
)
def test_the_smallest_change_is_found(condition: str, deal: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert told(condition, **deal) == wanted


@pytest.mark.parametrize(
    ("condition", "deal", "paths"),
    [
        ("deal.owner_email != null", {}, ["deal.owner_email"]),
        ("deal.amount > account.annual_revenue", {"amount": 5.0}, None),
        ("size(deal.contact_ids) >= 3", {"contact_ids": ["1"]}, ["deal.contact_ids"]),
        ("'x' in deal.contact_ids", {"contact_ids": ["1"]}, ["deal.contact_ids"]),
        ("mentions(deal.next_step, 'legal')", {"next_step": "Call them"}, ["deal.next_step"]),
        ("deal.name.startsWith('Hooli')", {"name": "Initech"}, ["deal.name"]),
        ("days_since(deal.created_at) > 30", {"created_at": "2026-01-19T00:00:00+00:00"}, ["deal.created_at"]),
        ("within(deal.created_at, '7d')", {"created_at": "2025-01-19T00:00:00+00:00"}, ["deal.created_at"]),
        ("timestamp(deal.close_date) < now", {"close_date": "2027-01-19T00:00:00+00:00"}, ["deal.close_date"]),
        ("history.open_actions.exists(a, a.type == 'create_task' && a.rule == 'x')", {}, ["history.open_actions"]),
        (
            "deal.open_task_subjects.exists(s, s.contains('Call'))",
            {"open_task_subjects": []},
            ["deal.open_task_subjects"],
        ),
    ],
)
def test_other_kinds_of_conditions(condition: str, deal: dict[str, Any], paths: list[str] | None) -> None:
    found = told(condition, **deal)
    assert paths is None or list(found) == paths


def test_the_nearest_time_is_told() -> None:
    (wanted,) = told("days_since(deal.created_at) >= 30", created_at="2026-01-19T00:00:00+00:00").values()
    assert NOW.day - 1 == 19
    assert (NOW - datetime.fromisoformat(wanted)).days == 30


def test_a_rule_that_does_not_listen_would_have_to_hear_another_event() -> None:
    rules = rule_of("deal.amount > 10", on="call.completed, deal.amount_changed")
    found = ask(rules, facts("deal.stage_changed", amount=5.0))
    assert [one.path for one in found.changes] == ["signal.event", "deal.amount"]
    assert found.changes[0].wanted == "deal.amount_changed"
    assert rules.evaluate(changed(facts("deal.stage_changed", amount=5.0), found.changes)).fired == ("one",)


def test_what_can_never_hold_is_said_so() -> None:
    found = ask(rule_of("deal.amount > 10 && deal.amount < 5"), facts(amount=7.0))
    assert (found.found, found.changes) == (False, ())
    assert "deal.amount" in found.sentence


def test_the_sentence_names_what_was_and_what_would_have_done() -> None:
    found = ask(rule_of("deal.stage == 'won' && deal.amount > 10"), facts(stage="open"))
    assert found.sentence == (
        'Rule one would have fired with deal.amount 10.01 (it was not known), and deal.stage "won" (it was "open").'
    )
    assert found.changes[0].as_dict() == {
        "term": "deal.amount > 10",
        "path": "deal.amount",
        "value": None,
        "wanted": 10.01,
    }


LEAVES: Sequence[st.SearchStrategy[str]] = (
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["deal.amount", "deal.probability", "signal.confidence"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.sampled_from(["0.5", "100.0", "-3.0", "50000"]),
    ),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["deal.idle_days", "deal.days_to_close", "signal.age_hours", "history.actions_30d"]),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.integers(-20, 400).map(str),
    ),
    st.builds(
        "{} {} '{}'".format,
        st.sampled_from(["deal.stage", "deal.currency", "account.industry"]),
        st.sampled_from(["==", "!="]),
        st.sampled_from(["a", "EUR", "it is"]),
    ),
    st.builds("{} in ['a', 'b', 'c']".format, st.sampled_from(["deal.pipeline", "contact.job_title"])),
    st.builds("{} {} null".format, st.sampled_from(["deal.url", "deal.amount"]), st.sampled_from(["==", "!="])),
    st.builds("deal.is_closed == {}".format, st.sampled_from(["true", "false"])),
    st.builds("size(deal.contact_ids) {} {}".format, st.sampled_from([">", "==", "<="]), st.integers(0, 6).map(str)),
    st.builds("days_since({}) > {}".format, st.just("deal.entered_stage_at"), st.integers(0, 90).map(str)),
    st.builds("within(deal.last_activity_at, '{}')".format, st.sampled_from(["7d", "36h", "20m"])),
)
CONDITIONS = st.recursive(
    st.one_of(*LEAVES),
    lambda inner: (
        st.builds("({} && {})".format, inner, inner)
        | st.builds("({} || {})".format, inner, inner)
        | st.builds("!({})".format, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(CONDITIONS, any_facts())
def test_with_the_change_any_rule_fires(condition: str, known: dict[str, Any]) -> None:
    known["signal"]["event"] = "deal.stage_changed"
    rules = rule_of(condition)
    assume(not rules.evaluate(known).fired)
    found = ask(rules, known)
    if found.found:
        assert found.changes
        assert rules.evaluate(changed(known, found.changes)).fired == ("one",)
    else:
        assert rules.evaluate(known).fired == ()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(LEAVES) - 1), min_size=1, max_size=4, unique=True), st.data(), any_facts())
def test_conditions_on_fields_of_their_own_are_always_answered(
    chosen: list[int], data: st.DataObject, known: dict[str, Any]
) -> None:
    parts = [data.draw(LEAVES[at]) for at in chosen]
    fields = [part.replace("(", " ").replace(")", " ").split() for part in parts]
    named = [word for words in fields for word in words if "." in word and word[0].isalpha()]
    assume(len(set(named)) == len(named))
    known["signal"]["event"] = "deal.stage_changed"
    rules = rule_of(" && ".join(parts))
    assume(not rules.evaluate(known).fired)
    found = ask(rules, known)
    assert found.found, found.sentence
    assert rules.evaluate(changed(known, found.changes)).fired == ("one",)
    held = {part for part in parts if rule_of(part).evaluate(known).fired}
    assert len(found.changes) == len(parts) - len(held)


def test_now_is_no_fact_to_change() -> None:
    known = {**facts(close_date="2026-03-01T00:00:00+00:00"), "now": datetime(2026, 2, 1, tzinfo=UTC)}
    found = ask(rule_of("timestamp(deal.close_date) < now"), known)
    assert [one.path for one in found.changes] == ["deal.close_date"]
