"""What a rule may say beside its actions: how long they are wanted, and how urgent it makes them and their signal."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from revpipe import act, approvals, feed
from revpipe.errors import CircuitOpen, Permanent, Transient
from revpipe.ports import Effect
from revpipe.services import Services
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    call,
    one,
    person,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    sent,
    signal_row,
    trail_of,
)
from tests.integration.ledger_rules import ALERT, one_rule

Make = Callable[..., Services]
TASK = "    then:\n      - type: create_task\n        params: {subject: a}\n"
DRAFT = "    then:\n      - type: draft_followup\n        params: {to: null, subject: a, body: b}\n"
DOWN = CircuitOpen("open", circuit="hubspot:default", retry_after=600)
AMBIGUOUS = Transient("timed out", ambiguous=True)


def prepared(make_services: Make, fields: str, then: str = TASK) -> Services:
    services = make_services(rules=one_rule(fields + then))
    put(services, call("a"))
    run_to(services, "execute")
    return services


def action(services: Services) -> dict[str, Any]:
    return one(services, "SELECT * FROM actions")


def again(services: Services, clock: MovableClock) -> None:
    """Move to when the action falls due, send it and carry it out."""
    clock.move(seconds=max(0.0, (action(services)["due_at"] - clock.now()).total_seconds()))
    assert feed.offer(services, [action(services)["queue"]]) == 1
    run_act(services)


def test_a_vendor_that_is_back_too_late_is_not_called(
    make_services: Make, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    services = prepared(make_services, "    expires: 25m\n")
    hubspot.script = lambda order: DOWN
    planned = action(services)["created_at"]
    run_act(services)
    again(services, clock)
    assert (action(services)["state"], action(services)["waits_for"]) == ("ready", "hubspot:default")
    again(services, clock)
    calls = hubspot.count("perform")
    assert action(services)["due_at"] == planned + timedelta(minutes=25)
    hubspot.script = None
    again(services, clock)
    row = action(services)
    assert hubspot.count("perform") == calls
    assert (row["state"], row["reason"], row["queue"], row["effect"]) == ("expired", "no_longer_wanted", None, None)
    ended = signal_row(services, "a")
    assert (ended["disposition"], ended["reason"]) == ("expired", "no_longer_wanted")
    assert trail_of(services, "a")[-2:] == ["expired", "settled"]
    assert rows(services, "SELECT * FROM dead_letters") == []


def test_what_waited_in_the_ledger_for_too_long_is_not_begun(
    make_services: Make, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    services = prepared(make_services, "    expires: 25m\n")
    clock.move(minutes=25)
    run_act(services)
    assert (hubspot.log, action(services)["state"]) == ([], "expired")


def test_within_its_time_it_is_carried_out(make_services: Make, clock: MovableClock, hubspot: FakeAdapter) -> None:
    services = prepared(make_services, "    expires: 25m\n")
    clock.move(minutes=24)
    run_act(services)
    assert action(services)["state"] == "done"


def test_what_may_have_happened_is_looked_up_before_it_expires(
    make_services: Make, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    services = prepared(make_services, "    expires: 25m\n")
    hubspot.script = lambda order: AMBIGUOUS
    run_act(services)
    assert action(services)["maybe_done"]
    clock.move(minutes=30)
    hubspot.answer_to_find = Effect(external_id="there")
    again(services, clock)
    assert (action(services)["state"], action(services)["effect"]["external_id"]) == ("done", "there")
    assert hubspot.count("perform") == 1


def test_what_surely_did_not_happen_expires_after_the_look(
    make_services: Make, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    services = prepared(make_services, "    expires: 25m\n")
    hubspot.script = lambda order: AMBIGUOUS
    run_act(services)
    clock.move(minutes=30)
    again(services, clock)
    assert [what for what, _ in hubspot.log] == ["perform", "find"]
    assert (action(services)["state"], action(services)["maybe_done"]) == ("expired", False)


def test_without_a_time_of_its_own_an_action_waits_as_long_as_ever(
    make_services: Make, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    services = prepared(make_services, "")
    assert action(services)["expires_s"] is None
    clock.move(days=3)
    run_act(services)
    assert action(services)["state"] == "done"


@pytest.mark.parametrize(("fields", "lasts"), [("    expires: 1h\n", 1), ("    expires: 9d\n", 4), ("", 4)])
def test_a_person_has_the_shorter_of_both_times(
    make_services: Make, clock: MovableClock, fields: str, lasts: int
) -> None:
    services = prepared(make_services, fields, DRAFT)
    asked = one(services, "SELECT requested_at, expires_at FROM approvals")
    assert asked["expires_at"] - asked["requested_at"] == timedelta(hours=lasts)
    clock.move(hours=lasts)
    assert approvals.expire_due(services) == 1
    # It reached nobody, so somebody else has as long again: but not longer than the rule wants it.
    clock.move(hours=lasts)
    assert approvals.expire_due(services) == (0 if "1h" in fields else 1)
    assert action(services)["state"] == "expired"
    with pytest.raises(Permanent, match="expired already"):
        approvals.approve(services, action(services)["action_id"], person("robin"))


def test_a_persons_yes_does_not_make_it_wanted_for_longer(
    make_services: Make, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    services = prepared(make_services, "    expires: 1h\n", TASK.replace("params", "approval: always\n        params"))
    clock.move(minutes=50)
    approvals.approve(services, action(services)["action_id"], person("robin"))
    clock.move(minutes=11)
    run_act(services)
    assert (action(services)["state"], hubspot.log) == ("expired", [])


def test_a_replay_wants_it_anew(make_services: Make, clock: MovableClock, hubspot: FakeAdapter) -> None:
    services = prepared(make_services, "    expires: 25m\n")
    rows(services, "UPDATE actions SET replayed_at = created_at + interval '2 hours'")
    clock.move(hours=2, minutes=24)
    run_act(services)
    assert action(services)["state"] == "done"


def test_a_rule_raises_its_actions_and_its_signal(make_services: Make) -> None:
    services = make_services(rules=one_rule("    urgency: immediate\n" + ALERT))
    put(services, call("a"))
    run_stage(services, "enrich")
    run_stage(services, "decide")
    row = signal_row(services, "a")
    assert (row["priority"], row["queue"], row["urgency"]) == ("immediate", "execute.immediate", "standard")
    assert action(services)["priority"] == "immediate"
    (decided,) = rows(services, "SELECT detail FROM trail WHERE what = 'decided'")
    assert decided["detail"]["urgency"] == ["standard", "immediate"]
    run_stage(services, "execute")
    (chunk,) = sent(services, "actions", "queue = 'execute.slack.immediate'")
    act.run(chunk, services)
    assert signal_row(services, "a")["disposition"] == "acted"


@pytest.mark.parametrize(
    ("fields", "urgency", "when", "priority"),
    [
        ("    urgency: low\n", "high", "true", "high"),
        ("    urgency: immediate\n", "standard", "size(signal.competitors) > 9", "standard"),
        ("", "standard", "true", "standard"),
    ],
)
def test_a_rule_never_lowers_and_raises_only_if_it_fires(
    make_services: Make, fields: str, urgency: str, when: str, priority: str
) -> None:
    services = make_services(rules=one_rule(fields + ALERT, when=when))
    put(services, call("a", urgency=urgency))
    run_to(services, "decide")
    assert signal_row(services, "a")["priority"] == priority


def test_a_cooldown_longer_than_what_rules_look_back_on_holds(make_services: Make, clock: MovableClock) -> None:
    services = make_services(rules=one_rule(ALERT, cooldown="90d", when="history.actions_30d == 0"))
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    clock.move(days=60)
    put(services, call("b"))
    run_to(services, "decide")
    states = rows(services, "SELECT state, reason FROM actions ORDER BY created_at")
    assert states == [{"state": "done", "reason": None}, {"state": "suppressed", "reason": "cooldown"}]
