"""Decisions: one plan a signal, one open action for each rule, subject and type, and a winner named for each loser."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from revpipe import decide
from revpipe.db import transaction
from revpipe.models import Action
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from revpipe.signals import stable_id
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    sent,
    signal_id,
    signal_row,
    trail_of,
)
from tests.integration.ledger_rules import ALERT, one_rule

TASK = "rival"
KINDS = ("create_task", "send_alert")


def actions(services: Services, name: str | None = None, rule: str = TASK) -> list[dict[str, Any]]:
    found = rows(
        services, "SELECT * FROM actions WHERE rule_id = :rule ORDER BY type, created_at, action_id", rule=rule
    )
    return [row for row in found if name is None or row["signal_id"] == signal_id(name)]


def test_ids_of_plans_and_actions_follow_from_the_signal(services: Services) -> None:
    put(services, call("a"))
    run_to(services, "decide")
    plan = one(services, "SELECT * FROM plans")
    assert plan["plan_id"] == stable_id("plan", signal_id("a"))
    assert (plan["decided_by"], plan["rules_version"]) == ("rules", services.rules.version)
    found = actions(services)
    assert [(row["type"], row["state"], row["subject"]) for row in found] == [
        ("create_task", "planned", "deal:d1"),
        ("send_alert", "planned", "deal:d1"),
    ]
    assert {row["action_id"] for row in found} == {
        stable_id("action", signal_id("a"), TASK, kind, at) for at, kind in enumerate(KINDS)
    }
    assert one(services, "SELECT version FROM rule_versions") == {"version": services.rules.version}


def test_the_second_signal_of_a_deal_sees_the_first_ones_action(services: Services) -> None:
    put(services, call("a", age_s=20), call("b", age_s=10))
    run_to(services, "decide")
    winner, loser = actions(services, "a"), actions(services, "b")
    assert [row["state"] for row in winner] == ["planned", "planned"]
    assert [(row["state"], row["reason"], row["suppressed_by"]) for row in loser] == [
        ("suppressed", "already_open", row["action_id"]) for row in winner
    ]
    ended = signal_row(services, "b")
    assert (ended["state"], ended["disposition"], ended["reason"]) == ("done", "suppressed", "already_open")
    assert trail_of(services, "b") == ["received", "enriched", "decided", "suppressed", "suppressed"]


def test_two_workers_that_decide_on_one_deal_at_once_leave_one_open_action(services: Services) -> None:
    """Each signal in a chunk of its own, in parallel, twenty times over."""
    for turn in range(20):
        pair = (f"x{turn}", f"y{turn}")
        put(services, *(call(name, f"deal-{turn}") for name in pair))
        (chunk,) = run_to(services, "enrich")
        singles = [Chunk((row_id,), chunk.send_no) for row_id in chunk.ids]
        onward = at_once(2, lambda at, singles=singles: decide.run(singles[at], services))  # type: ignore[misc]
        assert sum(chunk is not None for chunk in onward) == 1
        for kind in KINDS:
            found = [row for row in actions(services) if row["type"] == kind and row["subject"] == f"deal:deal-{turn}"]
            by_state = {row["state"]: row for row in found}
            assert set(by_state) == {"planned", "suppressed"}
            assert len(found) == 2
            assert by_state["suppressed"]["suppressed_by"] == by_state["planned"]["action_id"]


def test_many_chunks_over_the_same_deals_end_without_a_deadlock(services: Services) -> None:
    put(services, *(call(f"c{number}", f"d{number % 5}") for number in range(40)))
    (chunk,) = run_to(services, "enrich")
    parts = [Chunk(chunk.ids[at::8], chunk.send_no) for at in range(8)]
    at_once(8, lambda at: decide.run(parts[at], services))
    states = rows(services, "SELECT type, state, count(*) AS n FROM actions GROUP BY 1, 2 ORDER BY 1, 2")
    assert [(row["type"], row["state"], row["n"]) for row in states] == [
        ("create_task", "planned", 5),
        ("create_task", "suppressed", 35),
        ("send_alert", "planned", 5),
        ("send_alert", "suppressed", 35),
    ]
    assert one(services, "SELECT count(*) AS n FROM plans") == {"n": 40}
    assert rows(services, "SELECT * FROM dead_letters") == []


def test_the_index_itself_refuses_a_second_open_action(services: Services) -> None:
    put(services, call("a"), call("b", "d2"))
    run_to(services, "decide")
    first = actions(services, "a")[0]
    copy = {**first, "action_id": uuid.uuid4()}
    for state in ("planned", "awaiting_approval", "ready", "running", "unknown"):
        with pytest.raises(IntegrityError, match="uq_actions_one_open"), transaction(services.engine) as tx:
            tx.execute(insert(Action), {**copy, "state": state})
    with transaction(services.engine) as tx:
        tx.execute(insert(Action), {**copy, "state": "suppressed"})


@pytest.mark.parametrize(("later", "suppressed"), [(timedelta(minutes=59), True), (timedelta(minutes=61), False)])
def test_a_cooldown_names_the_action_that_it_counts_from(
    make_services: Callable[..., Services], clock: MovableClock, later: timedelta, suppressed: bool
) -> None:
    services = make_services(rules=one_rule(ALERT))
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    (first,) = actions(services, "a", "only")
    assert first["state"] == "done"
    clock.move(seconds=later.total_seconds())
    put(services, call("b"))
    run_to(services, "decide")
    (second,) = actions(services, "b", "only")
    expected = ("suppressed", "cooldown", first["action_id"]) if suppressed else ("planned", None, None)
    assert (second["state"], second["reason"], second["suppressed_by"]) == expected


def test_an_action_that_had_no_effect_starts_no_cooldown(
    make_services: Callable[..., Services], clock: MovableClock
) -> None:
    services = make_services(rules=one_rule(ALERT))
    put(services, call("a"))
    run_to(services, "decide")
    rows(services, "UPDATE actions SET state = 'failed'")
    put(services, call("b"))
    run_to(services, "decide")
    assert [row["state"] for row in actions(services, "b", "only")] == ["planned"]


def test_an_old_action_that_is_still_open_stands_in_the_way(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    run_to(services, "decide")
    rows(services, "UPDATE actions SET created_at = created_at - interval '90 days'")
    put(services, call("b"))
    run_to(services, "decide")
    assert {row["reason"] for row in actions(services, "b")} == {"already_open"}


def test_other_deals_rules_and_types_do_not_stand_in_the_way(services: Services) -> None:
    put(services, call("a", "d1"))
    run_to(services, "decide")
    put(services, call("b", "d2"))
    run_to(services, "decide")
    assert {row["state"] for row in actions(services)} == {"planned"}


def test_one_rule_that_asks_for_the_same_twice_gets_it_once(make_services: Callable[..., Services]) -> None:
    twice = ALERT + "      - type: send_alert\n        params: {channel: null, title: c, text: d}\n"
    services = make_services(rules=one_rule(twice))
    put(services, call("a"))
    run_to(services, "decide")
    found = actions(services, "a", "only")
    winner = next(row for row in found if row["state"] == "planned")
    loser = next(row for row in found if row["state"] == "suppressed")
    assert (loser["suppressed_by"], loser["reason"], winner["params"]["title"]) == (
        winner["action_id"],
        "same_rule_and_type",
        "a",
    )
    assert signal_row(services, "a")["state"] == "decided"


OTHER = """  - id: other
    description: Another rule that wants an alert too.
    owner: tests
    on: [call.completed]
    when: true
    then:
      - type: send_alert
        priority: high
        params: {channel: null, title: a, text: %s}
"""


@pytest.mark.parametrize(
    ("text", "state", "reason", "priority"),
    [("b", "suppressed", "same_as_other_rule", "high"), ("c", "planned", None, "standard")],
)
def test_what_two_rules_want_in_the_same_words_is_done_once(
    make_services: Callable[..., Services], text: str, state: str, reason: str | None, priority: str
) -> None:
    book = one_rule(ALERT + OTHER % text)
    services = make_services(rules=book)
    put(services, call("a"))
    run_to(services, "decide")
    (first,), (second,) = actions(services, "a", "only"), actions(services, "a", "other")
    assert (first["state"], first["priority"]) == ("planned", priority)
    winner = first["action_id"] if reason else None
    assert (second["state"], second["reason"], second["suppressed_by"]) == (state, reason, winner)


def test_the_shipped_rules_want_a_task_for_a_rival_and_nothing_for_an_idle_call(
    make_services: Callable[..., Services], shipped: RuleBook
) -> None:
    services = make_services(rules=shipped)
    put(services, call("rival"), call("idle", "d2", payload={"competitors": []}))
    run_to(services, "execute")
    kinds = rows(services, "SELECT type FROM actions WHERE rule_id = 'competitor-mentioned'")
    assert {"create_task", "send_alert"} <= {row["type"] for row in kinds}
    assert signal_row(services, "idle")["disposition"] == "nothing_due"
    assert signal_row(services, "rival")["state"] == "waiting"


def test_nothing_due_says_which_rule_made_sure_or_that_none_fired(
    make_services: Callable[..., Services], provider: FakeProvider
) -> None:
    services = make_services()
    put(services, call("noise", payload={"competitors": []}))
    provider.deal = {"is_closed": True}
    run_to(services, "decide")
    ended = signal_row(services, "noise")
    assert (ended["disposition"], ended["reason"]) == ("nothing_due", "rule:quiet-call")
    assert (ended["queue"], ended["stage"]) == (None, None)
    assert ended["done_at"] is not None
    assert one(services, "SELECT conclusive, decided_by FROM plans") == {"conclusive": True, "decided_by": "rules"}


def test_what_the_rules_leave_open_comes_from_the_fallback_and_says_so(
    make_services: Callable[..., Services],
) -> None:
    services = make_services(rules=one_rule(ALERT, when="size(signal.competitors) > 5"))
    put(services, call("a"))
    run_to(services, "decide")
    assert signal_row(services, "a")["reason"] == "no_rule_fired"
    assert one(services, "SELECT conclusive, decided_by FROM plans") == {
        "conclusive": False,
        "decided_by": "fallback",
    }


def test_rules_see_what_was_decided_earlier_in_the_same_chunk(make_services: Callable[..., Services]) -> None:
    services = make_services(rules=one_rule(ALERT, when="size(history.open_types) == 0"))
    put(services, call("a", age_s=20), call("b", age_s=10))
    run_to(services, "decide")
    assert (len(actions(services, "a", "only")), len(actions(services, "b", "only"))) == (1, 0)


def test_signals_without_a_deal_are_decided_by_account_contact_or_themselves(services: Services) -> None:
    put(
        services,
        {"id": "account", "account": "7"},
        {"id": "contact", "contact": "9"},
        {"id": "nobody"},
    )
    run_to(services, "decide")
    subjects = {row["signal_id"]: row["subject"] for row in actions(services)}
    assert subjects[signal_id("account")] == "account:7"
    assert subjects[signal_id("contact")] == "contact:9"
    assert subjects[signal_id("nobody")] == f"signal:{signal_id('nobody')}"


def test_a_worker_that_lost_its_claim_while_it_waited_for_the_lock_decides_nothing(
    services: Services, clock: MovableClock
) -> None:
    put(services, call("a"))
    run_to(services, "enrich")
    (chunk,) = sent(services, "signals", "stage = 'decide'")
    with transaction(services.engine) as tx:
        tx.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('deal:d1', 0))"))
        late = at_once_started(lambda: decide.run(chunk, services), services)
        rows(services, "UPDATE signals SET claim_id = gen_random_uuid()")
    assert late() is None
    assert rows(services, "SELECT * FROM plans") == []
    assert signal_row(services, "a")["stage"] == "decide"


def at_once_started(do: Callable[[], Any], services: Services) -> Callable[[], Any]:
    """Start `do` in a thread, wait until it waits for an advisory lock, and return how to get its answer."""
    import time
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(do)
    waiting = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    deadline = time.monotonic() + 20
    while one(services, waiting)["n"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pool.shutdown(wait=False)
    return lambda: future.result(timeout=30)


def test_a_signal_buried_before_its_release_does_not_block_its_deal_for_ever(services: Services) -> None:
    put(services, call("a"))
    run_to(services, "decide")
    rows(services, "UPDATE signals SET attempts = 5")
    run_stage(services, "execute")
    assert signal_row(services, "a")["disposition"] == "dead_lettered"
    assert {(row["state"], row["reason"]) for row in actions(services, "a")} == {("failed", "exhausted")}
    put(services, call("b"))
    run_to(services, "execute")
    assert [row["state"] for row in actions(services, "b")] == ["ready", "ready"]


def test_a_decision_is_handed_on_in_its_chain(services: Services) -> None:
    put(services, call("a"))
    run_stage(services, "enrich")
    (chunk,) = sent(services, "signals", "stage = 'decide'")
    assert decide.run(chunk, services) == chunk
    row = signal_row(services, "a")
    assert (row["state"], row["stage"], row["queue"]) == ("decided", "execute", "execute.standard")
