"""When nobody answers: carried out, escalated, rejected or ended, by what policy says and what is known by then."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from revpipe import approvals, time_scale
from revpipe.services import Services
from tests.integration.ledger_fixtures import (
    OPEN_DEAL,
    FakeAdapter,
    FakeProvider,
    MovableClock,
    one,
    person,
    rows,
    run_act,
    signal_row,
    trail_of,
)
from tests.integration.people_fixtures import OWNER, approval, policies, user
from tests.integration.test_approvals import ask, state_of

HOURS = 24
"""As long as an update may wait, by the shipped policy."""


@pytest.fixture
def owned(services: Services, provider: FakeProvider) -> Services:
    provider.deal = {**OPEN_DEAL, **OWNER}
    return services


def deliver(services: Services) -> None:
    rows(services, "UPDATE approvals SET delivered_at = requested_at")


def expire(services: Services, clock: MovableClock, hours: float = HOURS) -> None:
    clock.move(hours=hours)
    approvals.expire_due(services)


def test_a_delivered_low_risk_action_of_a_rule_goes_out_by_policy(
    owned: Services, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    ids = ask(owned)
    approvals.reject(owned, ids["draft_followup"], person("kim"))
    deliver(owned)
    expire(owned, clock)
    assert state_of(owned, ids["update_crm"]) == ("ready", "recheck.standard")
    run_act(owned)
    assert hubspot.log == [("perform", ids["update_crm"])]
    row = approval(owned, ids["update_crm"])
    assert (row["state"], row["decided_by"], row["way"]) == ("approved", "policy", "policy")
    assert signal_row(owned, "a")["disposition"] == "acted"


def test_where_the_deal_was_closed_meanwhile_policy_sends_nothing(
    owned: Services, clock: MovableClock, hubspot: FakeAdapter, provider: FakeProvider
) -> None:
    action_id = ask(owned)["update_crm"]
    deliver(owned)
    provider.deal = {**provider.deal, "is_closed": True}
    expire(owned, clock)
    run_act(owned)
    assert hubspot.log == []
    assert one(owned, "SELECT state, reason FROM actions WHERE action_id = :id", id=action_id) == {
        "state": "cancelled",
        "reason": "deal_closed",
    }


def test_what_reached_nobody_goes_to_the_stand_in_once_and_then_ends(owned: Services, clock: MovableClock) -> None:
    stand_in = user(owned, "other@example.com")
    rep = user(owned, "rep@example.com", owner_id="o-1", stand_in=stand_in)
    action_id = ask(owned)["update_crm"]
    before = approval(owned, action_id)
    expire(owned, clock)
    row = approval(owned, action_id)
    assert (row["state"], row["approver_user_id"], row["approver_email"]) == ("open", stand_in.user_id, stand_in.name)
    assert row["expires_at"] == clock.now() + timedelta(hours=HOURS)
    assert row["revision"] > before["revision"]
    assert "escalated" in trail_of(owned, "a")
    # Delivered at last, but only to the second who was asked: it is not sent without a word.
    deliver(owned)
    expire(owned, clock)
    assert one(owned, "SELECT state, reason FROM actions WHERE action_id = :id", id=action_id) == {
        "state": "expired",
        "reason": "approval_expired",
    }
    assert rep.user_id != stand_in.user_id


def test_without_a_stand_in_the_operators_are_asked_and_the_owner_may_still_answer(
    owned: Services, clock: MovableClock
) -> None:
    rep = user(owned, "rep@example.com", owner_id="o-1")
    action_id = ask(owned)["update_crm"]
    expire(owned, clock)
    row = approval(owned, action_id)
    assert (row["approver_user_id"], row["approver_role"]) == (None, "operator")
    assert approvals.approve(owned, action_id, rep) == "approved"


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"planned_by": "llm"}, ("rejected", "rejected_by_policy")),
        ({"planned_by": "fallback"}, ("rejected", "rejected_by_policy")),
        ({"risk": "medium"}, ("expired", "approval_expired")),
        ({"risk": "high"}, ("expired", "approval_expired")),
        ({"on_expiry": "expire"}, ("expired", "approval_expired")),
        ({"on_expiry": "reject"}, ("rejected", "rejected_by_policy")),
    ],
)
def test_what_policy_does_not_let_go_ends(
    owned: Services, clock: MovableClock, hubspot: FakeAdapter, changed: dict[str, Any], state: tuple[str, str]
) -> None:
    action_id = ask(owned)["update_crm"]
    deliver(owned)
    for name, value in changed.items():
        rows(owned, f"UPDATE approvals SET {name} = :value", value=value)
    expire(owned, clock)
    found = one(owned, "SELECT state, reason FROM actions WHERE action_id = :id", id=action_id)
    assert (found["state"], found["reason"]) == state
    run_act(owned)
    assert hubspot.log == []


def test_an_edit_that_nobody_agreed_to_does_not_go_out(owned: Services, clock: MovableClock) -> None:
    action_id = ask(owned)["draft_followup"]
    deliver(owned)
    approvals.edit(owned, action_id, person("kim"), 1, {"body": "half-finished"})
    expire(owned, clock)
    assert state_of(owned, action_id)[0] == "expired"


def test_a_deal_of_unknown_or_large_amount_is_no_low_risk(
    owned: Services, clock: MovableClock, provider: FakeProvider
) -> None:
    found = []
    for name, amount in (("none", None), ("large", 60_000), ("medium", 10_000), ("small", 9_999)):
        provider.deal = {**OPEN_DEAL, **OWNER, "amount": amount}
        found.append(approval(owned, ask(owned, name)["update_crm"])["risk"])
    assert found == ["medium", "high", "medium", "low"]


def test_approval_by_tier_asks_from_that_risk_on(
    owned: Services, provider: FakeProvider, make_services: Callable[..., Services]
) -> None:
    tiered = replace(owned, policy=policies(owned, "update_crm", approval="from_high"))
    states = []
    for name, amount in (("small", 10_000), ("large", 60_000)):
        provider.deal = {**OPEN_DEAL, **OWNER, "amount": amount}
        states.append(state_of(tiered, ask(tiered, name)["update_crm"])[0])
    assert states == ["ready", "awaiting_approval"]


def test_time_scaled_an_hour_is_a_minute(owned: Services, clock: MovableClock) -> None:
    time_scale.arm(60)
    try:
        action_id = ask(owned)["update_crm"]
        deliver(owned)
        clock.move(minutes=HOURS, seconds=-1)
        assert approvals.expire_due(owned) == 1  # the draft, which may wait four of them
        clock.move(seconds=1)
        assert approvals.expire_due(owned) == 1
        assert state_of(owned, action_id)[0] == "ready"
    finally:
        time_scale.arm(1)


def test_a_clock_that_jumps_ahead_or_back_decides_nothing_twice(owned: Services, clock: MovableClock) -> None:
    action_id = ask(owned)["update_crm"]
    deliver(owned)
    clock.move(hours=-5)
    assert approvals.expire_due(owned) == 0
    clock.move(days=400)
    assert approvals.expire_due(owned) == 2
    clock.move(days=-399)
    assert approvals.expire_due(owned) == 0
    with pytest.raises(approvals.AlreadyDecided, match="was approved already, by policy at"):
        approvals.approve(owned, action_id, person("kim"))


def test_a_row_of_the_release_before_ends_without_effect(owned: Services, clock: MovableClock) -> None:
    """It names nobody and no ending: the defaults of its columns say what holds."""
    action_id = ask(owned)["update_crm"]
    rows(owned, "DELETE FROM approvals WHERE action_id = :id", id=action_id)
    rows(
        owned,
        "INSERT INTO approvals (approval_id, action_id, state, requested_at, expires_at)"
        " VALUES (gen_random_uuid(), :id, 'open', :now, :now)",
        id=action_id,
        now=clock.now(),
    )
    expire(owned, clock)
    assert state_of(owned, action_id)[0] == "expired"
