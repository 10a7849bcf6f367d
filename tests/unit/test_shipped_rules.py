"""Each rule in config/rules.yaml on facts that fire it and on facts that only nearly do."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from revpipe import action_policy_file
from revpipe.rules import book as rules
from revpipe.rules import manual as rule_docs
from revpipe.rules.book import RuleBook
from revpipe.rules.fields import EVENTS
from tests.unit.rule_facts import any_facts, check_answer, facts

ROOT = Path(__file__).parents[2]
POLICIES = action_policy_file.load((ROOT / "config/actions.yaml").read_text("utf-8"))
SHAPES = {
    "create_task": {
        "subject", "body", "due_in_days", "priority", "task_type", "owner_id",
        "deal_id", "account_id", "contact_id",
    },
    "update_crm": {"object", "id", "properties"},
    "send_alert": {"channel", "title", "text", "fields", "link"},
    "draft_followup": {"to", "subject", "body"},
}  # fmt: skip


def shipped() -> RuleBook:
    return rules.load((ROOT / "config/rules.yaml").read_text("utf-8"), dict.fromkeys(POLICIES))


BOOK = shipped()
OPEN = {
    "id": "42",
    "name": "Hooli",
    "is_closed": False,
    "is_won": False,
    "owner_id": "7",
    "open_task_subjects": [],
}
QUIET = {**OPEN, "idle_days": 11, "days_to_close": 21, "overdue": False, "close_date": "2026-02-10T00:00:00+00:00"}
PUSHED = {**OPEN, "close_date_pushes": 2, "amount": 50000.0}
CALL = {"competitors": ["Initech"], "said_by": "external", "next_steps": [], "call_title": "Review", "age_hours": 71}
ONE_DEAL = {**CALL, "deals_on_call": 1}
STEP = {"next_steps": ["Papers"], "deals_on_call": 1, "age_hours": 71}
CHAMPION = {"id": "9", "name": "Kim Ode", "buying_roles": ["CHAMPION"]}
FRESH = {"stale": False}
MOVING = {**OPEN, "stage_moved_back": False, "overdue": False, "idle_days": 10}

ACCOUNT = {"id": "77", "name": "Hooli", "domain": "hooli.example", "open_deals": 1, "owner_id": "7"}
SURGE = {"topic": "Data Pipelines", "score": 75, "week": "2026-05-03", "domain": "hooli.example", "age_hours": 719}

# (rule, event, deal or of intent account, signal, contact, whether it fires)
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any], bool]] = [
    ("idle-near-close", "deal.stage_changed", QUIET, {}, {}, True),
    ("idle-near-close", "deal.property_changed", {**QUIET, "days_to_close": 0}, {}, {}, True),
    ("idle-near-close", "deal.amount_changed", {**QUIET, "days_to_close": -400, "overdue": True}, {}, {}, True),
    ("idle-near-close", "deal.stage_changed", {**QUIET, "days_to_close": 22}, {}, {}, False),
    ("idle-near-close", "deal.stage_changed", {**QUIET, "idle_days": 10}, {}, {}, False),
    ("idle-near-close", "deal.stage_changed", {**QUIET, "idle_days": None}, {}, {}, False),
    ("idle-near-close", "deal.stage_changed", {**QUIET, "days_to_close": None}, {}, {}, False),
    ("idle-near-close", "deal.stage_changed", {**QUIET, "is_closed": True}, {}, {}, False),
    ("idle-near-close", "deal.stage_changed", {**QUIET, "is_closed": None}, {}, {}, False),
    ("idle-near-close", "deal.close_date_changed", QUIET, {}, {}, True),
    ("idle-near-close", "deal.association_added", QUIET, {}, {}, True),
    ("idle-near-close", "deal.owner_changed", QUIET, {}, {}, False),
    ("idle-near-close", "deal.deleted", QUIET, {}, {}, False),
    ("overdue-close-date", "deal.stage_changed", {**OPEN, "overdue": True}, {}, {}, True),
    (
        "overdue-close-date",
        "deal.stage_changed",
        {**OPEN, "overdue": True, "open_task_subjects": None},
        {},
        {},
        True,
    ),
    ("overdue-close-date", "deal.stage_changed", {**OPEN, "overdue": False}, {}, {}, False),
    ("overdue-close-date", "deal.stage_changed", {**OPEN, "overdue": None}, {}, {}, False),
    (
        "overdue-close-date",
        "deal.stage_changed",
        {**OPEN, "overdue": True, "open_task_subjects": ["Set a realistic Close Date: Hooli"]},
        {},
        {},
        False,
    ),
    ("close-date-pushed-twice", "deal.close_date_changed", PUSHED, FRESH, {}, True),
    ("close-date-pushed-twice", "deal.close_date_changed", {**PUSHED, "close_date_pushes": 1}, FRESH, {}, False),
    (
        "close-date-pushed-twice",
        "deal.close_date_changed",
        {**PUSHED, "close_date_pushes": None},
        FRESH,
        {},
        False,
    ),
    ("close-date-pushed-twice", "deal.close_date_changed", PUSHED, {"stale": True}, {}, False),
    ("close-date-pushed-twice", "deal.amount_changed", PUSHED, FRESH, {}, False),
    ("big-deal-slipping", "deal.close_date_changed", PUSHED, FRESH, {}, True),
    ("big-deal-slipping", "deal.close_date_changed", {**PUSHED, "amount": 49999.99}, FRESH, {}, False),
    ("big-deal-slipping", "deal.close_date_changed", {**PUSHED, "amount": None}, FRESH, {}, False),
    ("stage-moved-back", "deal.stage_changed", {**OPEN, "stage_moved_back": True}, FRESH, {}, True),
    ("stage-moved-back", "deal.stage_changed", {**OPEN, "stage_moved_back": False}, FRESH, {}, False),
    ("stage-moved-back", "deal.stage_changed", {**OPEN, "stage_moved_back": None}, FRESH, {}, False),
    ("stage-moved-back", "deal.stage_changed", {**OPEN, "stage_moved_back": True}, {"stale": True}, {}, False),
    ("amount-cut", "deal.amount_changed", OPEN, {**FRESH, "change_percent": -20.1}, {}, True),
    ("amount-cut", "deal.amount_changed", OPEN, {**FRESH, "change_percent": -20.0}, {}, False),
    ("amount-cut", "deal.amount_changed", OPEN, {**FRESH, "change_percent": 50.0}, {}, False),
    ("amount-cut", "deal.amount_changed", OPEN, FRESH, {}, False),
    ("competitor-mentioned", "call.completed", OPEN, CALL, {}, True),
    ("competitor-mentioned", "call.completed", OPEN, {**CALL, "deals_on_call": 5}, {}, True),
    ("competitor-mentioned", "call.completed", {}, CALL, {}, False),
    ("competitor-mentioned", "call.completed", {"id": "42"}, CALL, {}, False),
    ("competitor-mentioned", "call.completed", OPEN, {**CALL, "age_hours": 72}, {}, False),
    ("competitor-mentioned", "call.completed", OPEN, {**CALL, "age_hours": None}, {}, False),
    ("competitor-follow-up", "call.completed", OPEN, ONE_DEAL, {}, True),
    ("competitor-follow-up", "call.completed", OPEN, {**CALL, "deals_on_call": 2}, {}, False),
    ("competitor-follow-up", "call.completed", OPEN, CALL, {}, False),
    ("competitor-follow-up", "call.completed", {"id": "42"}, ONE_DEAL, {}, False),
    ("competitor-follow-up", "call.completed", {**OPEN, "is_closed": True}, ONE_DEAL, {}, False),
    ("competitor-follow-up", "call.completed", OPEN, {**ONE_DEAL, "competitors": []}, {}, False),
    ("competitor-follow-up", "call.completed", OPEN, {**ONE_DEAL, "age_hours": 72}, {}, False),
    ("competitor-follow-up", "call.completed", {**OPEN, "open_task_subjects": ["competition"]}, ONE_DEAL, {}, False),
    ("competitor-mentioned", "call.completed", OPEN, {**CALL, "competitors": []}, {}, False),
    ("competitor-mentioned", "call.completed", OPEN, {**CALL, "competitors": None}, {}, False),
    ("competitor-mentioned", "call.completed", {**OPEN, "is_closed": True}, CALL, {}, False),
    (
        "competitor-mentioned",
        "call.completed",
        {**OPEN, "open_task_subjects": ["COMPETitor plan"]},
        CALL,
        {},
        False,
    ),
    ("competitor-mentioned", "call.completed", {**OPEN, "open_task_subjects": ["Send papers"]}, CALL, {}, True),
    ("champion-left", "contact.association_removed", OPEN, {"deal_id": "42"}, CHAMPION, True),
    ("champion-left", "contact.association_removed", OPEN, {"association": "CONTACT_TO_DEAL"}, CHAMPION, True),
    ("champion-left", "contact.association_removed", {}, {"association": "CONTACT_TO_COMPANY"}, CHAMPION, False),
    ("champion-left", "deal.association_removed", OPEN, {"association": "DEAL_TO_CONTACT"}, CHAMPION, True),
    ("champion-left", "contact.deleted", {}, {}, CHAMPION, True),
    ("champion-left", "contact.deleted", {}, {}, {**CHAMPION, "buying_roles": ["BLOCKER"]}, False),
    ("champion-left", "contact.deleted", {}, {}, {**CHAMPION, "buying_roles": None}, False),
    ("champion-left", "contact.deleted", {"is_closed": True}, {}, CHAMPION, False),
    ("champion-left", "contact.association_added", OPEN, {"deal_id": "42"}, CHAMPION, False),
    ("next-step-from-call", "call.completed", OPEN, STEP, {}, True),
    ("next-step-from-call", "call.completed", OPEN, {**STEP, "deals_on_call": 2}, {}, False),
    ("next-step-from-call", "call.completed", OPEN, {**STEP, "next_steps": []}, {}, False),
    ("next-step-from-call", "call.completed", OPEN, {**STEP, "age_hours": 72}, {}, False),
    (
        "next-step-from-call",
        "call.completed",
        {**OPEN, "next_step": "Call legal"},
        STEP,
        {},
        False,
    ),
    ("deal-won-handover", "deal.stage_changed", {"is_won": True, "is_closed": True}, FRESH, {}, True),
    ("deal-won-handover", "deal.stage_changed", {"is_won": False, "is_closed": True}, FRESH, {}, False),
    ("deal-won-handover", "deal.amount_changed", {"is_won": True, "is_closed": True}, FRESH, {}, False),
    ("big-deal-created", "deal.created", {**OPEN, "amount": 50000.0}, {}, {}, True),
    ("big-deal-created", "deal.created", {**OPEN, "amount": 50000.0}, {"change_source": "IMPORT"}, {}, False),
    ("big-deal-created", "deal.created", {**OPEN, "amount": 49999.0}, {}, {}, False),
    ("closed-deal-edited", "deal.amount_changed", {"is_closed": True}, {}, {}, True),
    ("closed-deal-edited", "deal.amount_changed", {"is_closed": None}, {}, {}, False),
    ("closed-deal-edited", "deal.stage_changed", {"is_closed": True}, {}, {}, False),
    ("bulk-change", "contact.property_changed", {}, {"change_source": "IMPORT"}, {}, True),
    ("bulk-change", "account.property_changed", {}, {"change_source": "DATA_ENRICHMENT"}, {}, True),
    ("bulk-change", "contact.created", {}, {"change_source": "IMPORT"}, {}, True),
    ("research-at-open-account", "intent.surge", ACCOUNT, SURGE, {}, True),
    ("research-at-open-account", "intent.surge", ACCOUNT, {**SURGE, "score_delta": 12}, {}, True),
    ("research-at-open-account", "intent.surge", ACCOUNT, {**SURGE, "score": 74}, {}, False),
    ("research-at-open-account", "intent.surge", ACCOUNT, {**SURGE, "age_hours": 720}, {}, False),
    ("research-at-open-account", "intent.surge", {**ACCOUNT, "open_deals": 0}, SURGE, {}, False),
    ("research-at-open-account", "intent.surge", {}, SURGE, {}, False),
    ("research-elsewhere", "intent.surge", {}, SURGE, {}, True),
    ("research-elsewhere", "intent.surge", {**ACCOUNT, "open_deals": None}, SURGE, {}, True),
    ("research-elsewhere", "intent.surge", {**ACCOUNT, "open_deals": 0}, SURGE, {}, True),
    ("research-elsewhere", "intent.surge", ACCOUNT, {**SURGE, "score": 74}, {}, True),
    ("research-elsewhere", "intent.surge", ACCOUNT, {**SURGE, "age_hours": 720}, {}, True),
    ("research-elsewhere", "intent.surge", ACCOUNT, SURGE, {}, False),
    ("bulk-change", "contact.created", {}, {"change_source": "CRM_UI"}, {}, False),
    ("bulk-change", "contact.created", {}, {}, {}, False),
    ("ordinary-property", "contact.property_changed", {}, {"property": "fax"}, {}, True),
    ("ordinary-property", "contact.property_changed", {}, {"property": "lifecyclestage"}, {}, False),
    ("ordinary-property", "deal.stage_changed", {}, {"property": "dealstage"}, {}, False),
    ("new-record-elsewhere", "contact.created", {}, {}, {"id": "9"}, True),
    ("new-record-elsewhere", "account.created", {}, {}, {}, True),
    ("new-record-elsewhere", "contact.property_changed", {}, {}, {"id": "9"}, False),
    ("contact-filed", "contact.association_added", {}, {"association": "CONTACT_TO_COMPANY"}, {}, True),
    ("contact-filed", "contact.association_added", {}, {"association": "CONTACT_TO_DEAL"}, {}, False),
    ("contact-filed", "contact.association_added", {}, {}, {}, False),
    ("contact-filed", "contact.association_removed", {}, {"association": "CONTACT_TO_COMPANY"}, {}, False),
    ("deal-moving-along", "deal.stage_changed", MOVING, {}, {}, True),
    ("deal-moving-along", "deal.stage_changed", {**MOVING, "idle_days": 11}, {}, {}, False),
    ("deal-moving-along", "deal.stage_changed", {**MOVING, "idle_days": None}, {}, {}, False),
    ("deal-moving-along", "deal.stage_changed", {**MOVING, "stage_moved_back": True}, {}, {}, False),
    ("deal-moving-along", "deal.stage_changed", {**MOVING, "stage_moved_back": None}, {}, {}, False),
    ("deal-moving-along", "deal.stage_changed", {**MOVING, "overdue": True}, {}, {}, False),
    ("deal-moving-along", "deal.stage_changed", {**MOVING, "is_closed": True}, {}, {}, False),
    ("first-new-date", "deal.close_date_changed", {**MOVING, "close_date_pushes": 1}, {}, {}, True),
    ("first-new-date", "deal.close_date_changed", {**MOVING, "close_date_pushes": 2}, {}, {}, False),
    ("first-new-date", "deal.close_date_changed", {**MOVING, "close_date_pushes": None}, {}, {}, False),
    ("first-new-date", "deal.close_date_changed", {**MOVING, "close_date_pushes": 1, "idle_days": 11}, {}, {}, False),
    ("first-new-date", "deal.close_date_changed", {**MOVING, "close_date_pushes": 1, "overdue": None}, {}, {}, False),
    ("amount-about-the-same", "deal.amount_changed", OPEN, {"change_percent": -5.0}, {}, True),
    ("amount-about-the-same", "deal.amount_changed", OPEN, {"change_percent": 60.0}, {}, True),
    ("amount-about-the-same", "deal.amount_changed", OPEN, {"change_percent": -5.1}, {}, False),
    ("amount-about-the-same", "deal.amount_changed", OPEN, {}, {}, False),
    ("overtaken-change", "deal.amount_changed", OPEN, {"stale": True}, {}, True),
    ("overtaken-change", "deal.amount_changed", OPEN, FRESH, {}, False),
    ("record-housekeeping", "contact.merged", {}, {}, {}, True),
    ("record-housekeeping", "line_item.created", {}, {}, {}, True),
    ("record-housekeeping", "deal.created", {}, {}, {}, False),
    ("call-without-stakes", "call.completed", {}, {"competitors": []}, {}, True),
    ("call-without-stakes", "call.completed", {"id": "42", "is_closed": True}, {"competitors": []}, {}, True),
    ("call-without-stakes", "call.completed", OPEN, {"competitors": []}, {}, False),
    ("call-without-stakes", "call.completed", {"id": "42"}, {"competitors": []}, {}, False),
    ("call-without-stakes", "call.completed", {}, CALL, {}, False),
    ("call-of-long-ago", "call.completed", OPEN, {**CALL, "age_hours": 72}, {}, True),
    ("call-of-long-ago", "call.completed", OPEN, CALL, {}, False),
    ("call-of-long-ago", "call.completed", OPEN, {**CALL, "age_hours": None}, {}, False),
]


def made(event: str, deal: dict[str, Any], signal: dict[str, Any], contact: dict[str, Any]) -> dict[str, Any]:
    about_account = event.startswith("intent.")
    given = facts(event, **({} if about_account else deal))
    given["account"].update(deal if about_account else {})
    given["signal"].update(signal)
    given["contact"].update(contact)
    return given


@pytest.mark.parametrize(("rule", "event", "deal", "signal", "contact", "fires"), CASES)
def test_a_shipped_rule(
    rule: str, event: str, deal: dict[str, Any], signal: dict[str, Any], contact: dict[str, Any], *, fires: bool
) -> None:
    found = BOOK.evaluate(made(event, deal, signal, contact))
    assert (rule in found.fired) is fires


def test_every_shipped_rule_is_shown_to_fire_and_not_to_fire() -> None:
    ids = {rule.id for rule in BOOK.rules if rule.when != "true"}
    assert {rule for rule, *_, fires in CASES if fires} >= ids
    assert {rule for rule, *_, fires in CASES if not fires} >= ids


@pytest.mark.parametrize("case", [case for case in CASES if case[-1]], ids=lambda case: f"{case[0]}-{case[1]}")
def test_the_actions_of_a_rule_are_complete(case: Any) -> None:
    _, event, deal, signal, contact, _ = case
    found = BOOK.evaluate(made(event, deal, signal, contact))
    for action in found.actions:
        assert set(action.params) == SHAPES[action.type]
        assert re.search(r"\bNone\b|\{\{|\{%|  ", json.dumps(action.params)) is None
    assert found.conclusive


def by_type(event: str, deal: dict[str, Any], signal: dict[str, Any], contact: dict[str, Any]) -> dict[str, Any]:
    found = BOOK.evaluate(made(event, deal, signal, contact))
    return {action.type: action for action in found.actions}


def test_a_quiet_deal_gets_a_draft_that_waits_for_its_rep_and_a_task() -> None:
    contact = {"id": "9", "email": "kim@hooli.example", "first_name": "Kim"}
    actions = by_type("deal.property_changed", {**QUIET, "owner_name": "Robin"}, {}, contact)
    draft, task = actions["draft_followup"], actions["create_task"]
    assert (draft.approval, draft.priority) == ("always", "immediate")
    assert draft.params["to"] == "kim@hooli.example"
    assert draft.params["subject"] == "Next steps"
    assert draft.params["body"].startswith("Hi Kim,\n\n")
    assert draft.params["body"].endswith("Best regards,\nRobin")
    assert task.params["subject"] == "Hooli: get in touch, quiet for 11 days"
    assert (task.params["owner_id"], task.params["deal_id"], task.params["contact_id"]) == ("7", "42", "9")
    assert (task.params["due_in_days"], task.params["priority"], task.params["task_type"]) == (0, "HIGH", "CALL")
    assert task.params["account_id"] is None
    assert task.params["body"].splitlines()[0] == "Expected close: 10 Feb 2026."
    assert "(revpipe approvals list)" in task.params["body"]


def test_the_task_for_an_overdue_deal_says_so_in_words() -> None:
    overdue = {**QUIET, "days_to_close": -9, "overdue": True}
    actions = BOOK.evaluate(made("deal.property_changed", overdue, {}, {})).actions
    first, second = (action.params for action in actions if action.type == "create_task")
    assert first["subject"] == "Hooli: get in touch, quiet for 11 days"
    assert first["body"].startswith("Expected close: 10 Feb 2026, which has passed.\n")
    assert "-9" not in first["body"]
    assert second["subject"] == "Hooli: set a realistic close date"


def test_what_the_buyer_reads_names_neither_the_deal_nor_its_idle_days() -> None:
    draft = by_type("deal.property_changed", {**QUIET, "name": "Secret", "next_step": "Squeeze"}, {}, {})[
        "draft_followup"
    ]
    assert "Secret" not in json.dumps(draft.params)
    assert "Squeeze" not in json.dumps(draft.params)
    assert "11" not in json.dumps(draft.params)


def test_a_competitor_gets_a_task_and_an_alert() -> None:
    actions = by_type("call.completed", OPEN, {**CALL, "call_url": "https://app.gong.io/call?id=1"}, {})
    task, alert = actions["create_task"].params, actions["send_alert"].params
    assert task["subject"] == "Hooli: competitive position against Initech"
    assert re.search("(?i)compet", task["subject"]), "else the rule would not see its own task and fire again"
    assert alert["fields"] == {"Named by": "external", "Deal": "Hooli", "Owner": "nobody"}
    assert alert["link"] == "https://app.gong.io/call?id=1"


def test_one_call_about_several_deals_drafts_no_mail() -> None:
    assert set(by_type("call.completed", OPEN, {**CALL, "deals_on_call": 3}, {})) == {"create_task", "send_alert"}
    draft = by_type("call.completed", OPEN, ONE_DEAL, {})["draft_followup"]
    assert (draft.rule_id, draft.approval) == ("competitor-follow-up", "always")
    assert "I will" not in draft.params["body"]


def test_the_next_step_waits_for_a_person() -> None:
    action = by_type("call.completed", OPEN, {**STEP, "next_steps": ["Papers", "x"]}, {})["update_crm"]
    assert action.approval == "always"
    assert action.params == {"object": "deal", "id": "42", "properties": {"hs_next_step": "Papers"}}


@pytest.mark.parametrize(
    ("deal", "urgency"),
    [
        (QUIET, "immediate"),
        ({**QUIET, "days_to_close": 0}, "immediate"),
        ({**QUIET, "days_to_close": -3}, "immediate"),
        ({**QUIET, "days_to_close": 22}, "low"),
        ({**QUIET, "idle_days": None}, "low"),
        ({**QUIET, "is_closed": True}, "low"),
        ({**OPEN, "amount": 60000.0}, "high"),
        ({}, "low"),
    ],
)
def test_a_deal_in_danger_makes_its_signals_urgent(deal: dict[str, Any], urgency: str) -> None:
    assert BOOK.urgency(facts(**deal), "low") == urgency


@settings(max_examples=150, deadline=None)
@given(any_facts())
def test_the_shipped_rules_never_raise(given_facts: dict[str, Any]) -> None:
    check_answer(BOOK.evaluate(given_facts))


@pytest.mark.parametrize("event", EVENTS)
def test_no_event_fires_an_action_when_nothing_is_known(event: str) -> None:
    assert BOOK.evaluate(facts(event)).actions == ()


def test_the_manual_is_current() -> None:
    written = (ROOT / "docs/rules.md").read_text("utf-8")
    assert written == rule_docs.page(shipped()), "run: python -m revpipe.rules.manual"
