"""What conditions have beyond CEL: times, sets, words; and what absence means for them."""

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from revpipe.rules import samples
from revpipe.rules.expression_checks import condition_faults
from revpipe.rules.expressions import terms

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def answer(condition: str, **deal: Any) -> bool | None:
    assert condition_faults(condition) == []
    facts = samples.absent()
    facts["now"] = NOW
    facts["deal"].update(deal)
    (term,) = terms(condition)
    return term.ask(facts).held


@pytest.mark.parametrize(
    ("condition", "at", "held"),
    [
        ("days_since(deal.created_at) == 1", "2026-03-01T12:00:00+00:00", True),
        ("days_since(deal.created_at) == 0", "2026-03-01T12:00:01+00:00", True),
        ("days_since(deal.created_at) == 0", "2026-04-01T00:00:00+00:00", True),
        ("days_since(deal.created_at) == 1", "2026-03-01T14:00:00+02:00", True),
        ("hours_since(deal.created_at) == 3", "2026-03-02T08:30:00+00:00", True),
        ("days_until(deal.created_at) == 0", "2026-03-02T00:00:00+00:00", True),
        ("days_until(deal.created_at) == 1", "2026-03-03T00:00:00+00:00", True),
        ("days_until(deal.created_at) == -1", "2026-03-01T23:59:59+00:00", True),
        ("within(deal.created_at, '7d')", "2026-02-23T12:00:00+00:00", True),
        ("within(deal.created_at, '7d')", "2026-02-23T11:59:59+00:00", False),
        ("within(deal.created_at, '7d')", "2026-03-02T12:00:01+00:00", False),
        ("within_next(deal.created_at, '36h')", "2026-03-04T00:00:00+00:00", True),
        ("within_next(deal.created_at, '36h')", "2026-03-04T00:00:01+00:00", False),
        ("within_next(deal.created_at, '36h')", "2026-03-02T11:59:59+00:00", False),
        ("days_since(deal.created_at) > 3", None, None),
        ("days_since(deal.created_at) <= 3", None, None),
        ("within(deal.created_at, '7d')", None, None),
        ("!within(deal.created_at, '7d')", None, None),
        ("within_next(deal.created_at, '7d')", None, None),
    ],
)
def test_times(condition: str, at: str | None, held: bool | None) -> None:
    assert answer(condition, created_at=at) is held


@pytest.mark.parametrize(
    ("condition", "items", "held"),
    [
        ("any_of(deal.contact_ids, ['a', 'b'])", ["b", "z"], True),
        ("any_of(deal.contact_ids, ['a', 'b'])", ["z"], False),
        ("any_of(deal.contact_ids, ['a', 'b'])", [], False),
        ("any_of(deal.contact_ids, ['a', 'b'])", None, None),
        ("!any_of(deal.contact_ids, ['a', 'b'])", None, None),
        ("any_of(deal.contact_ids, deal.open_task_subjects)", ["a"], None),
        ("all_of(deal.contact_ids, ['a', 'b'])", ["b", "c", "a"], True),
        ("all_of(deal.contact_ids, ['a', 'b'])", ["a"], False),
        ("all_of(deal.contact_ids, [])", [], True),
        ("mentions(deal.contact_ids, 'price')", ["Call", "New PRICES"], True),
        ("mentions(deal.contact_ids, 'price')", [], False),
        ("mentions(deal.contact_ids, 'price')", None, None),
        ("deal.contact_ids.exists(one, mentions(one, 'PRICE'))", ["prices"], True),
        ("mentions(deal.contact_ids, deal.next_step)", ["prices"], None),
    ],
)
def test_sets_and_words(condition: str, items: list[str] | None, held: bool | None) -> None:
    assert answer(condition, contact_ids=items) is held


@pytest.mark.parametrize(
    ("condition", "fault"),
    [
        ("within(deal.created_at, '7x')", "'7x' is no length of time; write a number and s, m, h or d"),
        ("within(deal.created_at)", "missing 1 required positional argument"),
        ("days_since(deal.amount) > 1", "is no time"),
        ("any_of(deal.name, ['a'])", "a list is needed"),
        ("mentions(deal.name, '')", "the words to look for are a text that is not empty"),
        ("days_since(deal.created_at)", "is a number, not a yes or no"),
        ("day_since(deal.created_at) > 1", "unknown function day_since(); did you mean days_since?"),
        ("days_since(deal.crated_at) > 1", "did you mean deal.created_at?"),
    ],
)
def test_a_wrong_call_is_told_when_rules_are_loaded(condition: str, fault: str) -> None:
    (told,) = condition_faults(condition)
    assert fault in told


def test_what_is_no_time_is_not_known_and_no_customers_text_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert answer("days_since(deal.name) != 3", name="Kim Ode's secret") is None
    assert "secret" not in caplog.text
