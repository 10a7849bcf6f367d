"""What a person must agree to: one word counts, whoever else speaks at the same moment."""

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from revpipe import approvals
from revpipe.actors import Actor
from revpipe.errors import Permanent
from revpipe.services import Services
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    at_once,
    call,
    one,
    person,
    put,
    rows,
    run_act,
    run_to,
    signal_row,
    trail_of,
)


def stage_change(name: str, deal: str | None = None) -> dict[str, Any]:
    """A signal whose rule wants a CRM update and a draft, both of which a person must approve."""
    return call(name, deal or f"d-{name}", event="deal.stage_changed", payload={"property": "dealstage"})


def ask(services: Services, name: str = "a") -> dict[str, uuid.UUID]:
    """Take a signal to where its two actions wait for a person; returns their ids by type."""
    put(services, stage_change(name))
    run_to(services, "execute")
    found = rows(services, "SELECT type, action_id FROM actions WHERE deal_id = :deal", deal=f"d-{name}")
    return {row["type"]: row["action_id"] for row in found}


def expire(services: Services, clock: MovableClock) -> None:
    """Let the time of all who are asked pass: of the first, and of whoever is asked after that."""
    for _ in range(2):
        clock.move(days=30)
        approvals.expire_due(services)


def state_of(services: Services, action_id: uuid.UUID) -> tuple[str, str | None]:
    row = one(services, "SELECT state, queue FROM actions WHERE action_id = :id", id=action_id)
    return row["state"], row["queue"]


def test_types_that_need_a_person_wait_and_the_others_go(services: Services, clock: MovableClock) -> None:
    put(services, stage_change("asks"), call("goes", "d-goes"))
    run_to(services, "execute")
    states = rows(services, "SELECT type, state, queue, sent_at IS NOT NULL AS sent FROM actions ORDER BY type")
    assert [tuple(row.values()) for row in states] == [
        ("create_task", "ready", "execute.hubspot.standard", True),
        ("draft_followup", "awaiting_approval", None, False),
        ("send_alert", "ready", "execute.slack.standard", True),
        ("update_crm", "awaiting_approval", None, False),
    ]
    assert signal_row(services, "asks")["state"] == signal_row(services, "goes")["state"] == "waiting"
    lasts = {
        row["type"]: row["lasts"]
        for row in rows(
            services,
            "SELECT type, expires_at - requested_at AS lasts FROM approvals JOIN actions USING (action_id)",
        )
    }
    assert lasts == {kind: services.policy[kind].expires for kind in ("draft_followup", "update_crm")}


def test_a_yes_lets_the_action_go_and_says_who_said_it(services: Services, hubspot: FakeAdapter) -> None:
    ids = ask(services)
    assert approvals.approve(services, ids["update_crm"], person("robin")) == "approved"
    run_act(services)
    assert hubspot.log == [("perform", ids["update_crm"])]
    row = one(services, "SELECT state, decided_by FROM approvals WHERE action_id = :id", id=ids["update_crm"])
    assert row == {"state": "approved", "decided_by": "robin"}
    assert signal_row(services, "a")["disposition"] is None
    approvals.reject(services, ids["draft_followup"], person("robin"), "not the right tone")
    assert signal_row(services, "a")["disposition"] == "acted"
    assert {"approval_requested", "approved", "rejected", "settled"} <= set(trail_of(services, "a"))


def test_a_no_ends_the_action_and_the_last_no_the_signal(services: Services) -> None:
    ids = ask(services)
    for action_id in ids.values():
        assert signal_row(services, "a")["state"] == "waiting"
        assert approvals.reject(services, action_id, person("robin")) == "rejected"
        assert state_of(services, action_id) == ("rejected", None)
    row = signal_row(services, "a")
    assert (row["state"], row["disposition"], row["reason"]) == ("done", "rejected", "rejected_by_person")


def test_what_nobody_answers_expires_without_effect(
    services: Services, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    ids = ask(services)
    clock.move(seconds=(services.policy["draft_followup"].expires - timedelta(seconds=1)).total_seconds())
    assert approvals.expire_due(services) == 0
    clock.move(days=30)
    # It reached nobody, so somebody else is asked first.
    assert approvals.expire_due(services) == 2
    assert approvals.expire_due(services) == 0
    clock.move(days=30)
    assert approvals.expire_due(services) == 2
    assert approvals.expire_due(services) == 0
    assert {state_of(services, action_id) for action_id in ids.values()} == {("expired", None)}
    row = signal_row(services, "a")
    assert (row["disposition"], row["reason"]) == ("expired", "approval_expired")
    run_act(services)
    assert hubspot.log == []


@pytest.mark.parametrize("first", ["approve", "reject", "expire"])
def test_the_second_word_gets_a_sentence_that_names_the_first(
    services: Services, clock: MovableClock, first: str
) -> None:
    action_id = ask(services)["update_crm"]
    if first == "approve":
        approvals.approve(services, action_id, person("robin"))
    elif first == "reject":
        approvals.reject(services, action_id, person("robin"))
    else:
        expire(services, clock)
    word = {"approve": "approved", "reject": "rejected", "expire": "expired"}[first]
    before = state_of(services, action_id)
    for second in (approvals.approve, approvals.reject):
        with pytest.raises(Permanent, match=rf"was {word} already, by (robin \(cli\)|policy) at 20\d\d-"):
            second(services, action_id, person("sam"))
    assert state_of(services, action_id) == before


def test_an_action_that_asks_for_nothing_says_so(services: Services) -> None:
    with pytest.raises(Permanent, match="no approval is asked"):
        approvals.approve(services, uuid.uuid4(), person("robin"))


def test_yes_no_and_expiry_at_once_leave_exactly_one(services: Services, clock: MovableClock) -> None:
    """Ten times, each with three who approve, three who reject, and the expiry."""
    for turn in range(10):
        name = f"t{turn}"
        action_id = ask(services, name)["update_crm"]
        # Nobody asked for a word on the draft: it would end the signal twice as late.
        approvals.reject(services, ask_other(services, name), person("robin"))
        rows(
            services,
            "UPDATE approvals SET expires_at = :now, on_expiry = 'expire' WHERE action_id = :id",
            now=clock.now(),
            id=action_id,
        )
        answers = at_once(7, lambda at, action_id=action_id: speak(services, action_id, at))  # type: ignore[misc]
        winners = [answer for answer in answers if answer in ("approved", "rejected", "expired")]
        assert len(winners) == 1
        assert all(re.search(f"was {winners[0]} already", answer) for answer in answers if answer not in (*winners, ""))
        state = {"approved": "ready", "rejected": "rejected", "expired": "expired"}[winners[0]]
        assert state_of(services, action_id)[0] == state
        words = rows(
            services,
            "SELECT what FROM trail WHERE action_id = :id AND what IN ('approved', 'rejected', 'expired')",
            id=action_id,
        )
        assert [row["what"] for row in words] == winners


def ask_other(services: Services, name: str) -> uuid.UUID:
    row = one(services, "SELECT action_id FROM actions WHERE deal_id = :d AND type = 'draft_followup'", d=f"d-{name}")
    found: uuid.UUID = row["action_id"]
    return found


def speak(services: Services, action_id: uuid.UUID, at: int) -> str:
    """Thread 0 is the expiry; odd ones approve, even ones reject. What was decided, or the refusal's sentence."""
    if at == 0:
        return "expired" if approvals.expire_due(services) else ""
    word: Callable[[Services, uuid.UUID, Actor], str] = approvals.approve if at % 2 else approvals.reject
    try:
        return word(services, action_id, person(f"person {at}"))
    except Permanent as refusal:
        return str(refusal)


def test_the_inbox_shows_open_ones_with_the_first_to_expire_in_front(services: Services) -> None:
    ids = ask(services)
    ask(services, "b")
    approvals.reject(services, ids["update_crm"], person("robin"))
    with services.engine.begin() as tx:
        listed = approvals.inbox(tx)
        first = approvals.inbox(tx, limit=1)
        rest = approvals.inbox(tx, after=(first[0].expires_at, first[0].action_id))
        others = [approvals.inbox(tx, state="rejected"), approvals.inbox(tx, owner_id="nobody")]
    assert [one.type for one in listed] == ["draft_followup", "draft_followup", "update_crm"]
    assert all(one.params for one in listed)
    assert ids["update_crm"] not in {one.action_id for one in listed}
    assert [one.action_id for one in (*first, *rest)] == [one.action_id for one in listed]
    assert [[one.action_id for one in some] for some in others] == [[ids["update_crm"]], []]


def test_a_rule_can_ask_for_a_person_where_policy_does_not(make_services: Callable[..., Services]) -> None:
    from tests.integration.ledger_rules import ALERT, one_rule

    services = make_services(rules=one_rule(ALERT.replace("params", "approval: always\n        params")))
    put(services, call("a"))
    run_to(services, "execute")
    assert one(services, "SELECT state FROM actions") == {"state": "awaiting_approval"}
