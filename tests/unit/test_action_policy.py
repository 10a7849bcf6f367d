"""config/actions.yaml: the shipped policies, and each fault with its line."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from revpipe.action_policy_file import load
from revpipe.errors import Misconfigured

GOOD = """actions:
  create_task:
    adapter: hubspot
    approval: never
    expires_hours: 4
    on_expiry: expire
"""


def test_the_shipped_file_asks_a_person_where_a_customer_or_the_crm_is_written_to() -> None:
    policies = load((Path(__file__).parents[2] / "config/actions.yaml").read_text("utf-8"))
    assert {name: policy.adapter for name, policy in policies.items()} == {
        "create_task": "hubspot",
        "update_crm": "hubspot",
        "send_alert": "slack",
        "draft_followup": "drafts",
    }
    assert {name for name, policy in policies.items() if policy.needs_person(None)} == {
        "update_crm",
        "draft_followup",
    }
    assert policies["draft_followup"].expires == timedelta(hours=4)


def test_a_rule_can_add_an_approval_but_not_take_one_away() -> None:
    free = load(GOOD)["create_task"]
    strict = load(GOOD.replace("never", "always"))["create_task"]
    assert not free.needs_person(None)
    assert free.needs_person("always")
    assert strict.needs_person("never")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "create_task:",
            "create_tsk:",
            "actions.yaml:2: unknown action type 'create_tsk'; did you mean create_task?",
        ),
        ("adapter: hubspot", "adapter: pigeon", "actions.yaml:3: create_task: `adapter` can't be 'pigeon'"),
        ("approval: never", "approval: maybe", "actions.yaml:4: create_task: `approval` can't be 'maybe'"),
        ("    approval: never\n", "", "actions.yaml:2: create_task: `approval` is missing"),
        ("expires_hours: 4", "expires_hours: 0", "actions.yaml:5: create_task: `expires_hours` must be"),
        ("expires_hours: 4", "expires_hours: true", "actions.yaml:5: create_task: `expires_hours` must be"),
        ("expires_hours: 4", "expires: 4", "actions.yaml:5: unknown key 'expires'"),
        ("expires_hours: 4", "approvers: [boss]", "actions.yaml:5: create_task: `approvers` must be a list of owner"),
        ("expires_hours: 4", "approvers: []", "actions.yaml:5: create_task: `approvers` must be a list"),
        ("expires_hours: 4", "needed: 0", "actions.yaml:5: `needed` must be a whole number from 1 to 5"),
        ("expires_hours: 4", "self_approval: maybe", "actions.yaml:5: `self_approval` must be true or false"),
        ("expires_hours: 4", "clock: sun", "actions.yaml:5: create_task: `clock` can't be 'sun'"),
        ("expires_hours: 4", "quiet_hours: {from: 20:00, to: '08:00'}", "`from` must be a time of day in quotes"),
        ("expires_hours: 4", "quiet_hours: {from: '20:00'}", "actions.yaml:5: `to` must be a time of day"),
        ("expires_hours: 4", "quiet_hours: {from: '24:00', to: '08:00'}", "`from` must be a time of day in quotes"),
        ("expires_hours: 4", "per_recipient: {most: 0, days: 7}", "`most` must be a whole number from 1 to 1000"),
        ("expires_hours: 4", "per_recipient: {most: 2, weeks: 7}", "unknown key 'weeks'"),
        ("expires_hours: 4", "editable: subject", "actions.yaml:5: create_task: `editable` must be a list of params"),
        ("actions:", "zone: Mars/Olympus\nactions:", "actions.yaml:1: there is no time zone 'Mars/Olympus'"),
        ("actions:", "risk: {amount: {high: much}}\nactions:", "actions.yaml:1: `high` must be an amount"),
        ("actions:", "risk: {decided_by: {llm: none}}\nactions:", "actions.yaml:1: `llm` must be one of low"),
        ("actions:", "business_hours: {days: [moon]}\nactions:", "actions.yaml:1: `days` must be a list of mon"),
        ("actions:", "business_hours: {from: '18:00'}\nactions:", "actions.yaml:1: `from` must be before `to`"),
        ("on_expiry: expire", "on_expiry: send", "actions.yaml:6: create_task: `on_expiry` can't be 'send'"),
        ("on_expiry: expire", "approval: always", "actions.yaml:6: the key 'approval' stands here twice"),
        ("actions:", "action:", "actions.yaml:1: the file must have the key `actions`"),
        ("    adapter: hubspot", "   - x", "actions.yaml:"),
    ],
)
def test_a_fault_names_its_line(old: str, new: str, fault: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(GOOD.replace(old, new))
    assert fault in str(caught.value)


EMAIL = GOOD.replace("create_task", "send_email").replace("never", "always")


def test_no_policy_lets_a_mail_go_unanswered() -> None:
    with pytest.raises(Misconfigured, match=r"actions\.yaml:6: send_email: `on_expiry` can't be 'execute'"):
        load(EMAIL.replace("on_expiry: expire", "on_expiry: execute"))
    unsaid = load(EMAIL.replace("    on_expiry: expire\n", ""))["send_email"]
    assert unsaid.on_expiry == "expire"
    # Not even by a request of the time before the file was right.
    told = {"risk": "low", "planned_by": "rules", "delivered": True, "edited": False, "escalated": False}
    assert unsaid.at_expiry("execute", **told) == "expire"


@pytest.mark.parametrize(
    ("wanted", "changed", "what"),
    [
        ("execute", {}, "execute"),
        ("execute", {"delivered": False}, "escalate"),
        ("execute", {"delivered": False, "escalated": True}, "expire"),
        ("execute", {"escalated": True}, "expire"),
        ("execute", {"planned_by": "llm"}, "reject"),
        ("execute", {"planned_by": "fallback"}, "reject"),
        ("execute", {"planned_by": "llm", "delivered": False}, "escalate"),
        ("execute", {"planned_by": "llm", "delivered": False, "escalated": True}, "reject"),
        ("execute", {"risk": "medium"}, "expire"),
        ("execute", {"edited": True}, "expire"),
        ("escalate", {}, "escalate"),
        ("escalate", {"escalated": True}, "expire"),
        ("reject", {"delivered": False}, "reject"),
        ("expire", {"delivered": False}, "expire"),
    ],
)
def test_what_happens_when_nobody_answers(wanted: str, changed: dict[str, object], what: str) -> None:
    policy = load(GOOD)["create_task"]
    told = {"risk": "low", "planned_by": "rules", "delivered": True, "edited": False, "escalated": False}
    assert policy.at_expiry(wanted, **{**told, **changed}) == what  # type: ignore[arg-type]


def test_what_is_left_out_has_a_value() -> None:
    policy = load("actions: {create_task: {adapter: hubspot, approval: always}}")["create_task"]
    assert (policy.expires, policy.on_expiry, policy.needed) == (timedelta(hours=4), "execute", 1)
    assert policy.approvers == ("owner", "stand_in", "operator")
    assert (policy.hours, policy.quiet, policy.cap, policy.self_approval) == (None, None, None, True)


def test_from_a_tier_on_a_person_is_asked_and_what_is_not_known_counts_as_high() -> None:
    policy = load(GOOD.replace("never", "from_medium"))["create_task"]
    assert [policy.needs_person(None, risk) for risk in ("low", "medium", "high", None)] == [False, True, True, True]
    assert policy.needs_person("always", "low")


def test_business_hours_are_counted_where_a_type_says_so() -> None:
    text = "zone: Europe/Berlin\n" + GOOD.replace("expires_hours: 4", "expires_hours: 4\n    clock: business")
    friday = datetime(2026, 3, 6, 15, tzinfo=UTC)
    assert load(text)["create_task"].ends(friday) == datetime(2026, 3, 9, 11, tzinfo=UTC)
    assert load(GOOD)["create_task"].ends(friday) == friday + timedelta(hours=4)


@pytest.mark.parametrize(
    ("by", "deal", "tier"),
    [
        ("rules", {"amount": 9_999.99}, "low"),
        ("rules", {"amount": 10_000}, "medium"),
        ("rules", {"amount": 50_000}, "high"),
        ("rules", {"amount": None}, "medium"),
        ("rules", {"amount": True}, "medium"),
        ("rules", {}, "low"),
        ("llm", {"amount": 1}, "medium"),
        ("fallback", {"amount": 60_000}, "high"),
        ("somebody", {}, "high"),
    ],
)
def test_risk_is_the_higher_of_deal_and_decider(by: str, deal: dict[str, object], tier: str) -> None:
    assert load(GOOD)["create_task"].risk.of(by, {"id": "1", **deal} if deal else None) == tier
