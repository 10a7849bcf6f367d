"""Between a plan and a person's word the world moves: what holds no more is not sent, and says why."""

import signal
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from revpipe import approvals, recheck, suppressions, sweep
from revpipe.business_time import QuietHours
from revpipe.crash import POINTS
from revpipe.db import transaction
from revpipe.errors import (
    CircuitOpen,
    CredentialsRefused,
    NotFound,
    Permanent,
    RateLimited,
    RevpipeError,
    TimedOut,
    Transient,
)
from revpipe.ports import Part
from revpipe.rules import book as rule_file
from revpipe.services import Services
from tests.integration import dying_recheck
from tests.integration.forked import processes
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    call,
    offer_due,
    one,
    person,
    put,
    rows,
    run_act,
    run_recheck,
    run_to,
    sent,
    signal_id,
    signal_row,
    take_messages,
    trail_of,
)
from tests.integration.ledger_rules import TYPES
from tests.integration.people_fixtures import CONTACT, DEAL, Crm, approval
from tests.integration.test_approvals import ask, state_of

Make = Callable[..., Services]
KIM = person("kim")


@pytest.fixture
def crm(clock: MovableClock) -> Crm:
    return Crm(clock, DEAL)


@pytest.fixture
def services(make_services: Make, crm: Crm) -> Services:
    return make_services(providers=(crm,))


def cancelled(services: Services, action_id: uuid.UUID) -> dict[str, Any]:
    """What the trail tells of an action that was cancelled."""
    found = one(services, "SELECT detail FROM trail WHERE what = 'cancelled' AND action_id = :id", id=action_id)
    assert isinstance(found["detail"], dict)
    return {name: value for name, value in found["detail"].items() if name not in ("type", "worker")}


def test_what_holds_goes_to_its_vendor_after_a_look_past_the_cache(
    services: Services, crm: Crm, hubspot: FakeAdapter
) -> None:
    ids = ask(services)
    asked = len(crm.calls)
    approvals.approve(services, ids["update_crm"], KIM)
    assert state_of(services, ids["update_crm"]) == ("ready", "recheck.standard")
    assert run_act(services)
    assert len(crm.calls) == asked + 1
    assert hubspot.log == [("perform", ids["update_crm"])]
    assert trail_of(services, "a")[-3:] == ["approved", "rechecked", "done"]


def test_what_needs_no_approval_is_not_looked_at_again(services: Services, crm: Crm, hubspot: FakeAdapter) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    asked = len(crm.calls)
    run_act(services)
    assert len(crm.calls) == asked
    assert hubspot.count("perform") == 1


@pytest.mark.parametrize(
    ("deal", "told"),
    [
        ({"is_closed": True, "stage": "closedlost"}, ("deal_closed", "contractsent", "closedlost")),
        ({"owner_id": "o-2"}, ("owner_changed", "o-1", "o-2")),
        ({"owner_id": None}, ("owner_changed", "o-1", None)),
    ],
)
def test_a_deal_that_moved_on_cancels_with_what_it_was_and_is(
    services: Services, crm: Crm, hubspot: FakeAdapter, deal: dict[str, Any], told: tuple[Any, ...]
) -> None:
    ids = ask(services)
    approvals.reject(services, ids["draft_followup"], KIM)
    before = approval(services, ids["update_crm"])["revision"]
    approvals.approve(services, ids["update_crm"], KIM)
    crm.deal = {**DEAL, **deal}
    run_act(services)
    assert hubspot.log == []
    row = one(services, "SELECT state, reason, queue FROM actions WHERE action_id = :id", id=ids["update_crm"])
    assert row == {"state": "cancelled", "reason": told[0], "queue": None}
    detail = cancelled(services, ids["update_crm"])
    assert (detail["reason"], detail.get("was"), detail.get("is")) == told
    assert approval(services, ids["update_crm"])["revision"] == before + 2
    with transaction(services.engine) as tx:
        found = approvals.view(tx, ids["update_crm"])
    assert found is not None
    assert (found.state, found.outcome) == ("approved", f"cancelled: {told[0]}")
    # Of the two the rejection is what the signal is told to have ended in.
    assert signal_row(services, "a")["disposition"] == "rejected"


def test_the_signal_of_a_cancelled_action_ends_as_expired(services: Services, crm: Crm) -> None:
    ids = ask(services)
    for action_id in ids.values():
        approvals.approve(services, action_id, KIM)
    crm.deal = {**DEAL, "is_closed": True}
    run_act(services)
    row = signal_row(services, "a")
    assert (row["state"], row["disposition"], row["reason"]) == ("done", "expired", "deal_closed")


def test_a_deal_that_is_gone_cancels(services: Services, crm: Crm, clock: MovableClock) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    gone = Part("deal", "crm", clock.now(), None, missing="not_found")
    crm.script[signal_id("a")] = {"deal": gone, **{name: replace(gone, name=name) for name in ("change", "account")}}
    run_act(services)
    assert cancelled(services, action_id)["reason"] == "deal_gone"


@pytest.mark.parametrize(
    ("contact", "reason"),
    [({"unsubscribed": True}, "contact_unsubscribed"), ({"replied_at": "later"}, "contact_replied")],
)
def test_nobody_writes_to_who_left_or_answered_but_the_crm_is_still_kept(
    services: Services, crm: Crm, clock: MovableClock, hubspot: FakeAdapter, contact: dict[str, Any], reason: str
) -> None:
    crm.contact = {**CONTACT, "replied_at": clock.now().isoformat()}
    clock.move(minutes=5)
    ids = ask(services)
    clock.move(minutes=5)
    if contact.get("replied_at"):
        contact = {"replied_at": clock.now().isoformat()}
    crm.contact = {**CONTACT, **contact}
    for action_id in ids.values():
        approvals.approve(services, action_id, KIM)
    run_act(services)
    assert cancelled(services, ids["draft_followup"])["reason"] == reason
    assert hubspot.log == [("perform", ids["update_crm"])]


def test_a_newer_plan_for_the_deal_takes_the_place_of_the_older(services: Services, crm: Crm) -> None:
    other = rule_file.load(services.rules.source.replace("id: ask-first", "id: ask-later"), TYPES)
    older = ask(services)["draft_followup"]
    clock = services.clock
    assert isinstance(clock, MovableClock)
    clock.move(minutes=1)
    later = replace(services, rules=other)
    put(later, call("b", "d-a", event="deal.stage_changed", payload={"property": "dealstage"}))
    run_to(later, "execute")
    newer = one(services, "SELECT action_id FROM actions WHERE rule_id = 'ask-later' AND type = 'draft_followup'")[
        "action_id"
    ]
    for action_id in (older, newer):
        approvals.approve(services, action_id, KIM)
    run_act(services)
    assert cancelled(services, older) == {
        "reason": "newer_plan",
        "was": str(one(services, "SELECT plan_id FROM actions WHERE action_id = :id", id=older)["plan_id"]),
        "is": str(newer),
    }
    assert state_of(services, newer)[0] == "done"


RULE = """rules:
  - id: only
    description: The only rule of this test.
    owner: tests
    on: [call.completed]
    when: >
      size(signal.competitors) > 0
      && deal.amount >= {least} && !("only" in history.open_rules)
    then:
      - type: create_task
        approval: always
        params: {{subject: a, deal_id: "{{{{ deal.id }}}}"}}
"""


def ruled(make_services: Make, crm: Crm, least: int) -> Services:
    return make_services(providers=(crm,), rules=rule_file.load(RULE.format(least=least), TYPES))


@pytest.mark.parametrize("amount", [1999, None])
def test_a_rule_that_would_not_fire_any_more_cancels_and_names_the_term(
    make_services: Make, crm: Crm, hubspot: FakeAdapter, amount: int | None
) -> None:
    services = ruled(make_services, crm, 2000)
    put(services, call("a"))
    run_to(services, "execute")
    action_id = one(services, "SELECT action_id FROM actions")["action_id"]
    approvals.approve(services, action_id, KIM)
    crm.deal = {**DEAL, "amount": amount}
    run_act(services)
    assert cancelled(services, action_id) == {"reason": "rule_no_longer_true", "was": "only", "is": "term 2"}
    assert hubspot.log == []


def test_the_rule_is_judged_by_the_version_that_decided_and_does_not_see_its_own_action(
    make_services: Make, crm: Crm, hubspot: FakeAdapter
) -> None:
    services = ruled(make_services, crm, 2000)
    put(services, call("a"))
    run_to(services, "execute")
    action_id = one(services, "SELECT action_id FROM actions")["action_id"]
    stricter = ruled(make_services, crm, 1_000_000)
    approvals.approve(stricter, action_id, KIM)
    run_act(stricter)
    assert hubspot.log == [("perform", action_id)]


@pytest.mark.parametrize(
    "error",
    [
        Transient("no answer", ambiguous=True),
        CircuitOpen("resting", circuit="hubspot:default", retry_after=30),
        CredentialsRefused("no"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_while_the_crm_is_down_it_waits_and_nothing_is_sent(
    services: Services, crm: Crm, hubspot: FakeAdapter, clock: MovableClock, error: Any, *, whole: bool
) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    if whole:
        crm.down = error
    else:
        crm.script[signal_id("a")] = error
    for _ in range(4):
        run_act(services)
        clock.move(minutes=30)
        offer_due(services)
    row = one(services, "SELECT * FROM actions WHERE action_id = :id", id=action_id)
    assert (row["state"], row["queue"], row["maybe_done"], hubspot.log) == ("ready", "recheck.standard", False, [])
    assert row["waits_for"] == getattr(error, "circuit", None)
    crm.down = None
    crm.script.clear()
    rows(
        services,
        "UPDATE actions SET waits_for = NULL, due_at = :now WHERE action_id = :id",
        now=clock.now(),
        id=action_id,
    )
    offer_due(services)
    run_act(services)
    assert hubspot.log == [("perform", action_id)]


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpen("open", circuit="hubspot:default", retry_after=600),
        CredentialsRefused("401"),
        RateLimited("come again", retry_after=300),
    ],
)
def test_what_had_to_wait_for_its_vendor_is_looked_at_again_before_it_goes(
    services: Services, crm: Crm, hubspot: FakeAdapter, clock: MovableClock, error: RevpipeError
) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    hubspot.script = lambda _: error
    run_act(services)
    assert hubspot.count("perform") == 1
    row = one(services, "SELECT state, queue FROM actions WHERE action_id = :id", id=action_id)
    assert row == {"state": "ready", "queue": "recheck.standard"}
    hubspot.script = None
    crm.deal = {**DEAL, "is_closed": True}
    clock.move(minutes=40)
    rows(services, "UPDATE actions SET waits_for = NULL, due_at = :now WHERE queue IS NOT NULL", now=clock.now())
    offer_due(services)
    run_act(services)
    assert hubspot.count("perform") == 1
    assert cancelled(services, action_id)["reason"] == "deal_closed"


@pytest.mark.parametrize("error", [TimedOut("no answer", ambiguous=True), RateLimited("in a moment", retry_after=2)])
def test_what_may_be_done_or_waits_a_moment_stays_with_its_vendor(
    services: Services, hubspot: FakeAdapter, error: RevpipeError
) -> None:
    """To cancel what may have gone out would be to say that nothing has."""
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    hubspot.script = lambda _: error
    run_act(services)
    row = one(services, "SELECT state, queue FROM actions WHERE action_id = :id", id=action_id)
    assert row == {"state": "ready", "queue": "execute.hubspot.standard"}


def test_an_optional_part_that_cannot_be_had_now_is_waited_for_too(
    services: Services, crm: Crm, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    known = Part("deal", "crm", clock.now(), {**DEAL, "id": "d-a"})
    lost = Part("contact", "crm", clock.now(), None, complete=False, missing="timed_out", error=Transient("slow"))
    crm.script[signal_id("a")] = {"deal": known, "contact": lost}
    run_act(services)
    assert state_of(services, action_id) == ("ready", "recheck.standard")
    assert hubspot.log == []


@pytest.mark.parametrize("error", [NotFound("no such portal"), Permanent("refused")])
def test_what_will_never_be_answered_is_buried_and_its_replay_looks_again(
    services: Services, crm: Crm, hubspot: FakeAdapter, error: Permanent
) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    crm.down = error
    run_act(services)
    letter = one(services, "SELECT action_id, reason, state FROM dead_letters")
    assert letter == {"action_id": action_id, "reason": error.code, "state": "open"}
    assert (state_of(services, action_id)[0], hubspot.log) == ("failed", [])


def test_a_provider_that_breaks_sends_nothing(services: Services, crm: Crm, hubspot: FakeAdapter) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    crm.down = KeyError("a fault of ours")
    run_act(services)
    assert (state_of(services, action_id)[0], hubspot.log) == ("ready", [])


def test_a_message_that_comes_twice_is_worked_once(services: Services, crm: Crm, hubspot: FakeAdapter) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    (chunk,) = sent(services, "actions", "queue LIKE 'recheck.%'")
    asked = len(crm.calls)
    recheck.run(chunk, services)
    recheck.run(chunk, services)
    assert len(crm.calls) == asked + 1
    run_act(services)
    assert hubspot.log == [("perform", action_id)]


def test_a_worker_that_dies_in_the_middle_is_found_by_the_sweep(
    services: Services, crm: Crm, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    crm.down = SystemExit()
    with pytest.raises(SystemExit):
        run_recheck(services)
    rows(services, "UPDATE actions SET lease_until = :then WHERE claim_id IS NOT NULL", then=clock.now())
    crm.down = None
    clock.move(minutes=2)
    sweep.sweep(services)
    assert state_of(services, action_id) == ("ready", "recheck.quarantine")
    offer_due(services)
    run_act(services)
    assert hubspot.log == [("perform", action_id)]


@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("recheck.")])
def test_at_whatever_point_a_worker_dies_the_action_goes_out_once(
    services: Services, clock: MovableClock, hubspot: FakeAdapter, point: str
) -> None:
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    (chunk,) = sent(services, "actions", "queue LIKE 'recheck.%'")
    take_messages(services, "recheck")
    settings = {name: getattr(services.settings, name) for name in ("database_url", "redis_url", "broker_url")}
    child = processes().Process(target=dying_recheck.run, args=(point, settings, chunk))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == -signal.SIGKILL
    for _ in range(3):
        clock.move(minutes=2)
        sweep.sweep(services)
        offer_due(services)
        run_act(services)
    assert hubspot.log == [("perform", action_id)]


def test_a_recipient_on_the_list_gets_nothing_whether_before_or_after_the_word(
    services: Services, clock: MovableClock
) -> None:
    waits = ask(services)["draft_followup"]
    with transaction(services.engine) as tx:
        assert suppressions.add(tx, "example.com", "competitor", "tests", clock.now())
    later = ask(services, "b")["draft_followup"]
    assert one(services, "SELECT state, reason FROM actions WHERE action_id = :id", id=later) == {
        "state": "suppressed",
        "reason": "competitor",
    }
    assert rows(services, "SELECT 1 FROM approvals WHERE action_id = :id", id=later) == []
    approvals.approve(services, waits, KIM)
    run_act(services)
    assert cancelled(services, waits) == {"reason": "competitor"}


def test_who_had_enough_gets_no_more(services: Services, clock: MovableClock) -> None:
    cap = services.policy["draft_followup"].cap
    assert cap is not None
    for at in range(cap.most):
        approvals.approve(services, ask(services, f"t{at}")["draft_followup"], KIM)
        run_act(services)
    full = ask(services, "full")["draft_followup"]
    assert one(services, "SELECT reason FROM actions WHERE action_id = :id", id=full) == {
        "reason": "recipient_had_enough"
    }
    clock.move(seconds=cap.within.total_seconds() + 1)
    assert state_of(services, ask(services, "free")["draft_followup"])[0] == "awaiting_approval"


def test_in_quiet_hours_it_waits_for_their_end_and_is_looked_at_then(
    services: Services, crm: Crm, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    now = clock.now()
    zone = now.tzinfo
    assert zone is not None
    ends = (now.hour + 2) % 24
    quiet = QuietHours(time((now.hour - 1) % 24), time(ends), zone)
    policy = {**services.policy, "update_crm": replace(services.policy["update_crm"], quiet=quiet)}
    services = replace(services, policy=policy)
    action_id = ask(services)["update_crm"]
    approvals.approve(services, action_id, KIM)
    run_act(services)
    row = one(services, "SELECT due_at, reason, queue FROM actions WHERE action_id = :id", id=action_id)
    assert (row["due_at"].hour, row["reason"], row["queue"]) == (ends, "quiet_hours", "recheck.standard")
    crm.deal = {**DEAL, "is_closed": True}
    clock.move(hours=2)
    offer_due(services)
    run_act(services)
    assert cancelled(services, action_id)["reason"] == "deal_closed"
    assert hubspot.log == []
