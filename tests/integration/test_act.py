"""Carrying out actions: each effect once, and no second try before a look."""

from collections.abc import Callable
from typing import Any

import pytest

from config.queues import QUEUES
from revpipe import act, feed
from revpipe.errors import CircuitOpen, CredentialsRefused, EffectUnknown, Permanent, RateLimited, Transient
from revpipe.ports import Effect, Order
from revpipe.services import Services
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_act,
    run_to,
    sent,
    signal_row,
    trail_of,
)

AMBIGUOUS = Transient("timed out", ambiguous=True)
PLAIN = Transient("refused before it began")


def prepare(services: Services, *names: str) -> Chunk:
    """Signals whose task waits at the CRM's queue, one deal each; returns the chunk of the tasks."""
    put(services, *(call(name, f"d-{name}") for name in names or ("a",)))
    run_to(services, "execute")
    return chunk_of(services)


def chunk_of(services: Services) -> Chunk:
    (chunk,) = sent(services, "actions", "adapter = 'hubspot' AND state IN ('ready', 'running')")
    return chunk


def task(services: Services, name: str = "a") -> dict[str, Any]:
    return one(services, "SELECT * FROM actions WHERE type = 'create_task' AND deal_id = :deal", deal=f"d-{name}")


def again(services: Services, clock: MovableClock) -> None:
    """Move to the time at which the task falls due, send it and carry it out."""
    due = task(services)["due_at"]
    clock.move(seconds=max(0.0, (due - clock.now()).total_seconds()))
    assert feed.offer(services, [task(services)["queue"]]) == 1
    run_act(services)


def fails_once(error: Exception) -> Callable[[Order], Effect | Exception]:
    left = [error]
    return lambda order: left.pop() if left else Effect(external_id="second")


def test_an_action_is_done_once_and_its_signal_is_acted(services: Services, hubspot: FakeAdapter) -> None:
    chunk = prepare(services)
    run_act(services)
    row = task(services)
    assert (row["state"], row["maybe_done"], row["queue"], row["reason"]) == ("done", False, None, None)
    assert row["effect"] == {"external_id": f"x-{row['action_id'].hex}", "url": None, "detail": {}}
    assert signal_row(services, "a")["disposition"] == "acted"
    act.run(chunk, services)
    assert hubspot.log == [("perform", row["action_id"])]
    assert trail_of(services, "a")[-1] == "settled"


def test_one_message_delivered_to_six_workers_has_its_effect_once(services: Services, hubspot: FakeAdapter) -> None:
    chunk = prepare(services, *"abcdefgh")
    at_once(6, lambda _: act.run(chunk, services))
    performed = [action for what, action in hubspot.log if what == "perform"]
    assert sorted(performed) == sorted(chunk.ids)


def test_a_plain_failure_is_tried_again_without_a_look(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(PLAIN)
    prepare(services)
    run_act(services)
    assert (task(services)["state"], task(services)["maybe_done"]) == ("ready", False)
    again(services, clock)
    assert [what for what, _ in hubspot.log] == ["perform", "perform"]
    assert task(services)["effect"]["external_id"] == "second"


def test_after_an_ambiguous_failure_a_look_comes_before_the_next_try(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(AMBIGUOUS)
    prepare(services)
    run_act(services)
    assert (task(services)["state"], task(services)["maybe_done"]) == ("ready", True)
    again(services, clock)
    assert [what for what, _ in hubspot.log] == ["perform", "find", "perform"]
    assert task(services)["state"] == "done"


def test_an_effect_that_is_found_is_not_made_again(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(AMBIGUOUS)
    hubspot.answer_to_find = Effect(external_id="the first", url="https://crm.example/1")
    prepare(services)
    run_act(services)
    again(services, clock)
    assert [what for what, _ in hubspot.log] == ["perform", "find"]
    assert (task(services)["state"], task(services)["effect"]["external_id"]) == ("done", "the first")
    assert "found_done" in trail_of(services, "a")


def test_a_worker_killed_after_the_call_leads_to_a_look(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    class Killed(BaseException):
        """Ends the work where a SIGKILL would: nothing is recorded."""

    def die(order: Order) -> Effect:
        raise Killed

    hubspot.script = die
    chunk = prepare(services)
    with pytest.raises(Killed):
        act.run(chunk, services)
    assert (task(services)["state"], task(services)["maybe_done"]) == ("running", True)
    hubspot.script, hubspot.answer_to_find = None, Effect(external_id="the first")
    clock.move(seconds=31)
    act.run(chunk, services)
    assert [what for what, _ in hubspot.log] == ["perform", "find"]
    assert task(services)["state"] == "done"


@pytest.mark.parametrize("at", ["perform", "find"])
def test_what_nobody_can_tell_stops_in_unknown_and_is_never_tried_again(
    services: Services, hubspot: FakeAdapter, clock: MovableClock, at: str
) -> None:
    unsure = EffectUnknown("no way to look")
    hubspot.script = fails_once(unsure if at == "perform" else AMBIGUOUS)
    hubspot.answer_to_find = unsure
    chunk = prepare(services)
    run_act(services)
    if at == "find":
        again(services, clock)
    row = task(services)
    assert (row["state"], row["reason"], row["queue"], row["done_at"]) == ("unknown", "effect_unknown", None, None)
    clock.move(hours=1)
    act.run(chunk, services)
    assert feed.offer(services, [name for name in QUEUES if name.startswith("execute.hubspot")]) == 0
    assert hubspot.count("perform") == 1
    assert signal_row(services, "a")["disposition"] is None
    assert trail_of(services, "a").count("unknown") == 1


def test_an_effect_that_may_still_appear_is_waited_for(
    make_services: Callable[..., Services], hubspot: FakeAdapter, clock: MovableClock
) -> None:
    slow = FakeAdapter("hubspot", hubspot.types, batch=10, settle=40)
    services = make_services(adapters=[slow])
    slow.script = fails_once(AMBIGUOUS)
    prepare(services)
    tried = clock.now()
    run_act(services)
    again(services, clock)
    assert [what for what, _ in slow.log] == ["perform", "find"]
    assert (task(services)["state"], task(services)["reason"]) == ("ready", "settling")
    assert (task(services)["due_at"] - clock.now()).total_seconds() == 40 / act.LOOKS
    while task(services)["state"] != "done":
        again(services, clock)
    looks = [what for what, _ in slow.log]
    assert looks == ["perform", *["find"] * (len(looks) - 2), "perform"]
    assert act.LOOKS <= len(looks) - 2 <= act.LOOKS + 1
    assert (clock.now() - tried).total_seconds() >= 40


def test_an_effect_that_appears_late_is_found_before_the_settle_time_is_over(
    make_services: Callable[..., Services], hubspot: FakeAdapter, clock: MovableClock
) -> None:
    slow = FakeAdapter("hubspot", hubspot.types, batch=10, settle=40)
    services = make_services(adapters=[slow])
    slow.script = fails_once(AMBIGUOUS)
    prepare(services)
    tried = clock.now()
    run_act(services)
    again(services, clock)
    slow.answer_to_find = Effect("T-late")
    again(services, clock)
    assert [what for what, _ in slow.log] == ["perform", "find", "find"]
    assert (task(services)["state"], task(services)["effect"]["external_id"]) == ("done", "T-late")
    assert (clock.now() - tried).total_seconds() < 40


def test_a_look_that_fails_is_repeated_and_nothing_is_performed_meanwhile(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(AMBIGUOUS)
    hubspot.answer_to_find = PLAIN
    prepare(services)
    run_act(services)
    again(services, clock)
    again(services, clock)
    assert [what for what, _ in hubspot.log] == ["perform", "find", "find"]
    assert task(services)["maybe_done"] is True
    hubspot.answer_to_find = None
    again(services, clock)
    assert [what for what, _ in hubspot.log][-2:] == ["find", "perform"]


def test_looks_that_fail_for_ever_end_in_unknown_not_in_failed(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(AMBIGUOUS)
    hubspot.answer_to_find = PLAIN
    prepare(services)
    run_act(services)
    for _ in range(QUEUES["execute.hubspot.standard"].attempts + 3):
        again(services, clock)
    assert (task(services)["state"], task(services)["maybe_done"], hubspot.count("perform")) == ("ready", True, 1)
    clock.move(hours=24)
    again(services, clock)
    assert (task(services)["state"], hubspot.count("perform")) == ("unknown", 1)
    assert rows(services, "SELECT * FROM dead_letters") == []


def test_what_can_never_succeed_is_buried_and_ends_its_signal(services: Services, hubspot: FakeAdapter) -> None:
    hubspot.script = lambda order: Permanent("the owner does not exist")
    prepare(services)
    run_act(services)
    assert (task(services)["state"], task(services)["reason"]) == ("failed", "permanent")
    letter = one(services, "SELECT * FROM dead_letters")
    assert (letter["stage"], letter["action_id"], letter["reason"]) == ("act", task(services)["action_id"], "permanent")
    assert "the owner does not exist" in letter["error"]
    row = signal_row(services, "a")
    assert (row["state"], row["disposition"], row["reason"]) == ("done", "dead_lettered", "permanent")


def test_an_outage_parks_the_action_and_a_day_of_it_buries_it(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = lambda order: PLAIN
    prepare(services)
    run_act(services)
    for _ in range(QUEUES["execute.hubspot.standard"].attempts + 5):
        again(services, clock)
    assert (task(services)["state"], task(services)["attempts"]) == ("ready", 7)
    clock.move(hours=24)
    again(services, clock)
    assert (task(services)["state"], task(services)["reason"]) == ("failed", "expired_waiting")


@pytest.mark.parametrize(
    ("error", "what"), [(CredentialsRefused("403"), "parked"), (RateLimited("later", retry_after=2.0), "retry")]
)
def test_waiting_for_the_vendor_burns_no_attempt(
    services: Services, hubspot: FakeAdapter, clock: MovableClock, error: Exception, what: str
) -> None:
    hubspot.script = lambda order: error
    prepare(services)
    run_act(services)
    for _ in range(10):
        assert (task(services)["state"], task(services)["attempts"]) == ("ready", 0)
        again(services, clock)
    assert trail_of(services, "a").count(what) == 11


def test_a_batch_of_mixed_outcomes_is_written_one_by_one(services: Services, hubspot: FakeAdapter) -> None:
    def script(order: Order) -> Effect | Exception:
        fates: dict[str, Effect | Exception] = {
            "d-a": Effect(external_id="1"),
            "d-b": Permanent("no"),
            "d-c": PLAIN,
            "d-d": AMBIGUOUS,
            "d-e": EffectUnknown("?"),
        }
        return fates[str(order.deal_id)]

    hubspot.script = script
    prepare(services, *"abcde")
    run_act(services)
    assert hubspot.batches == [5]
    assert {name: task(services, name)["state"] for name in "abcde"} == {
        "a": "done",
        "b": "failed",
        "c": "ready",
        "d": "ready",
        "e": "unknown",
    }
    assert [task(services, name)["maybe_done"] for name in "cd"] == [False, True]


def test_a_batch_is_no_larger_than_the_vendor_takes(services: Services, hubspot: FakeAdapter) -> None:
    hubspot.batch = 3
    prepare(services, *"abcdefgh")
    run_act(services)
    assert hubspot.batches == [3, 3, 2]


def test_our_own_fault_in_an_adapter_leaves_the_effect_in_doubt(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(ZeroDivisionError("after the call"))
    prepare(services)
    run_act(services)
    assert (task(services)["state"], task(services)["maybe_done"]) == ("ready", True)
    again(services, clock)
    assert [what for what, _ in hubspot.log] == ["perform", "find", "perform"]


def test_an_outcome_that_the_adapter_forgot_is_in_doubt(services: Services, hubspot: FakeAdapter) -> None:
    prepare(services)
    hubspot.perform = lambda orders: {}  # type: ignore[method-assign]
    run_act(services)
    assert (task(services)["state"], task(services)["maybe_done"]) == ("ready", True)


def test_a_lease_that_was_lost_before_the_call_stops_it(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = fails_once(AMBIGUOUS)
    prepare(services)
    run_act(services)

    def taken_away(order: Order) -> None:
        rows(services, "UPDATE actions SET claim_id = gen_random_uuid()")

    hubspot.find = taken_away  # type: ignore[method-assign]
    again(services, clock)
    assert hubspot.count("perform") == 1


def test_an_outcome_that_comes_after_the_lease_was_lost_is_not_written(
    services: Services, hubspot: FakeAdapter
) -> None:
    def taken_away(order: Order) -> Exception:
        rows(services, "UPDATE actions SET claim_id = gen_random_uuid()")
        return Permanent("too late to be heard")

    hubspot.script = taken_away
    prepare(services)
    run_act(services)
    assert task(services)["state"] == "running"
    assert rows(services, "SELECT * FROM dead_letters") == []


def test_an_action_that_kills_every_worker_is_left_to_a_person(services: Services, hubspot: FakeAdapter) -> None:
    chunk = prepare(services)
    rows(services, "UPDATE actions SET attempts = 8, maybe_done = true WHERE adapter = 'hubspot'")
    act.run(chunk, services)
    assert (task(services)["state"], hubspot.log) == ("unknown", [])


def test_what_a_vendor_never_lets_through_ends_after_its_day(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = lambda _: RateLimited("429", retry_after=3600)
    prepare(services)
    run_act(services)
    for _ in range(30):
        if task(services)["state"] != "ready":
            break
        again(services, clock)
    assert (task(services)["state"], task(services)["reason"]) == ("failed", "expired_waiting")
    assert signal_row(services, "a")["disposition"] == "dead_lettered"


@pytest.mark.parametrize(
    "refusal", [CircuitOpen("open", circuit="hubspot:default", retry_after=5), RateLimited("no token")]
)
def test_a_call_that_was_never_made_leaves_no_time_of_a_try(
    services: Services, hubspot: FakeAdapter, clock: MovableClock, refusal: Transient
) -> None:
    hubspot.script = fails_once(refusal)
    prepare(services)
    run_act(services)
    assert (task(services)["tried_at"], task(services)["first_tried_at"]) == (None, None)
    assert (task(services)["maybe_done"], task(services)["attempts"]) == (False, 0)


def test_an_action_that_opens_its_circuit_again_and_again_is_buried_and_one_that_waits_for_it_is_not(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    def refused(_: Order) -> Exception:
        error = CredentialsRefused("403")
        error.circuit, error.opened = "hubspot:default", opens
        return error

    hubspot.script = refused
    prepare(services)
    opens = False
    run_act(services)
    for _ in range(QUEUES["execute.hubspot.standard"].attempts + 2):
        again(services, clock)
    assert (task(services)["state"], task(services)["attempts"]) == ("ready", 0)
    opens = True
    while task(services)["state"] == "ready":
        again(services, clock)
    assert (task(services)["state"], task(services)["reason"]) == ("failed", "credentials_refused")
    letter = one(services, "SELECT attempts FROM dead_letters")
    assert letter["attempts"] == QUEUES["execute.hubspot.standard"].attempts
