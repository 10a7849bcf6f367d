"""What rules leave open, put to a simulated language model over HTTP by the real stage on the real ledger."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Any

import pytest

from adapters.sandbox.server import SandboxServer
from revpipe import contexts, decide, feed, schemas, second_pass
from revpipe.db import transaction
from revpipe.gate import Rate
from revpipe.llm import answers, asking, budget, question
from revpipe.llm.policy import Budget
from revpipe.services import Services
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    FakeProvider,
    MovableClock,
    at_once,
    one,
    put,
    rows,
    run_act,
    run_stage,
    sent,
    signal_id,
    signal_row,
    trail_of,
)
from tests.integration.llm_fixtures import (
    PROVIDERS,
    asked,
    context_of,
    leave_open,
    open_chunks,
    open_signal,
    proposal,
    run_second,
    wants,
    with_model,
)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


@pytest.fixture(params=PROVIDERS)
def vendor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def script(sandbox: SandboxServer, answer: Any, vendor: str = "anthropic") -> None:
    knobs = sandbox.world.models[vendor].knobs
    knobs.mode, knobs.script = "scripted", answer


def plan_of(services: Services, name: str) -> dict[str, Any]:
    return one(services, "SELECT * FROM plans WHERE signal_id = :id", id=signal_id(name))


def test_without_a_provider_the_fallback_decides_at_once(services: Services, provider: FakeProvider) -> None:
    leave_open(services, provider, open_signal("a"))
    assert trail_of(services, "a") == ["received", "enriched", "decided"]
    assert plan_of(services, "a")["decided_by"] == "fallback"
    assert signal_row(services, "a")["disposition"] == "nothing_due"


@pytest.mark.parametrize("without", [{"amount": 9999.0}, {"amount": None}], ids=["small", "unknown"])
def test_policy_keeps_small_deals_from_the_model(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, without: dict[str, Any]
) -> None:
    services = with_model(services, sandbox)
    leave_open(services, provider, open_signal("a"), **without)
    assert signal_row(services, "a")["state"] == "done"
    assert asked(sandbox) == 0


def test_policy_keeps_other_events_from_the_model(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    leave_open(services, provider, open_signal("a", event="deal.created"))
    assert signal_row(services, "a")["state"] == "done"


def test_what_rules_settle_never_reaches_the_model(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    quiet = open_signal("a", event="call.completed", payload={"competitors": []})
    leave_open(services, provider, quiet)
    assert plan_of(services, "a")["decided_by"] == "rules"


def test_the_models_action_waits_for_a_person_and_then_goes_out_once(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, hubspot: FakeAdapter, vendor: str
) -> None:
    services = with_model(services, sandbox, vendor)
    script(sandbox, wants(proposal()), vendor)
    leave_open(services, provider, open_signal("a"))
    row = signal_row(services, "a")
    assert (row["state"], row["stage"], row["queue"]) == ("enriched", "decide", "decide.llm.standard")
    run_second(services)
    plan = plan_of(services, "a")
    assert (plan["decided_by"], plan["conclusive"]) == ("llm", False)
    told = plan["why"]["llm"]
    assert told["reason"] == "The amount went up."
    assert told["input_tokens"] > 100
    assert told["cost_usd"] > 0
    assert told["model"] == services.desk.policy.models[vendor]
    run_stage(services, "execute")
    run_act(services)
    action = one(services, "SELECT * FROM actions")
    assert (action["rule_id"], action["state"], action["approval"]) == ("llm", "awaiting_approval", "always")
    assert action["params"]["owner_id"] == "77"
    assert hubspot.log == []


def test_policy_may_let_a_type_go_out_but_the_model_may_still_ask_for_a_person(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, hubspot: FakeAdapter
) -> None:
    services = with_model(services, sandbox, without_approval=frozenset({"create_task"}))
    script(sandbox, wants(proposal(needs_approval=False)))
    leave_open(services, provider, open_signal("a"))
    run_second(services)
    script(sandbox, wants(proposal(deal_id="202")))
    leave_open(services, provider, open_signal("b", deal="202"))
    run_second(services)
    run_stage(services, "execute")
    run_act(services)
    states = {row["deal_id"]: row["state"] for row in rows(services, "SELECT deal_id, state FROM actions")}
    assert states == {"201": "done", "202": "awaiting_approval"}
    assert hubspot.count("perform") == 1


def test_an_answer_of_nothing_ends_the_signal_by_the_model(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    leave_open(services, provider, open_signal("a"))
    run_second(services)
    row = signal_row(services, "a")
    assert (row["disposition"], row["reason"]) == ("nothing_due", "llm")
    assert trail_of(services, "a") == ["received", "enriched", "left_open", "decided"]


FAILURES: list[tuple[str, dict[str, Any], str, int]] = [
    ("nonsense", {"kind": "nonsense"}, "malformed", 2),
    ("wrong schema", {"kind": "wrong_schema"}, "wrong_schema", 2),
    ("refusal", {"kind": "refusal"}, "refused", 1),
    ("truncation", {"kind": "truncation"}, "truncated", 1),
    ("unknown action", {"script": wants(proposal(type="wire_money"))}, "unknown_action", 1),
    ("invented id", {"script": wants(proposal(deal_id="999"))}, "invented_id", 1),
    ("time-out", {"kind": "latency", "seconds": 10.0}, "timed_out", 0),
    ("429", {"kind": "rate_limit", "retry_after": 30}, "rate_limited", 0),
    ("500", {"kind": "error", "status": 500}, "transient", 0),
    ("529", {"kind": "error", "status": 529}, "transient", 0),
    ("half a body", {"kind": "malformed"}, "transient", 1),
    ("hung up", {"kind": "close"}, "transient", 0),
    ("outage", {"kind": "outage", "lasts": 60}, "transient", 0),
    ("refused key", {"kind": "error", "status": 401}, "credentials_refused", 0),
    ("no such model", {"kind": "error", "status": 404}, "credentials_refused", 0),
    ("bad request", {"kind": "error", "status": 400}, "permanent", 0),
    ("budget spent", {"budget": Budget(tokens=100, usd=10)}, "budget_spent", 0),
    ("too little money", {"budget": Budget(tokens=10**9, usd=0.0001)}, "budget_spent", 0),
]


@pytest.mark.parametrize(("what", "code", "answered"), [one[1:] for one in FAILURES], ids=[one[0] for one in FAILURES])
def test_whatever_goes_wrong_the_fallback_decides_and_says_why(
    services: Services,
    provider: FakeProvider,
    sandbox: SandboxServer,
    vendor: str,
    what: dict[str, Any],
    code: str,
    answered: int,
) -> None:
    services = with_model(services, sandbox, vendor, budget=what.get("budget"), seconds=1.0)
    script(sandbox, what.get("script", wants(proposal())), vendor)
    if "kind" in what:
        sandbox.world.faults.add({"vendor": vendor, **what})
    leave_open(services, provider, open_signal("a"))
    run_second(services)
    plan = plan_of(services, "a")
    assert (plan["decided_by"], plan["why"]["llm"]["outcome"]) == ("fallback", code)
    row = signal_row(services, "a")
    assert (row["state"], row["disposition"], row["reason"]) == ("done", "nothing_due", "no_rule_fired")
    detail = one(services, "SELECT detail FROM trail WHERE what = 'decided'")["detail"]
    assert (detail["by"], detail["llm"]) == ("fallback", code)
    assert rows(services, "SELECT 1 FROM actions") == []
    assert rows(services, "SELECT 1 FROM dead_letters") == []
    assert asked(sandbox, vendor) == answered


@pytest.mark.parametrize("kind", ["nonsense", "wrong_schema"])
def test_one_answer_that_cant_be_used_is_repaired(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, vendor: str, kind: str
) -> None:
    services = with_model(services, sandbox, vendor)
    script(sandbox, wants(proposal()), vendor)
    sandbox.world.faults.add({"vendor": vendor, "kind": kind, "count": 1})
    leave_open(services, provider, open_signal("a"))
    run_second(services)
    assert plan_of(services, "a")["decided_by"] == "llm"
    calls = rows(services, "SELECT attempt, outcome, kept FROM llm_answers ORDER BY attempt")
    first = "malformed" if kind == "nonsense" else kind
    assert calls == [
        {"attempt": 1, "outcome": first, "kept": False},
        {"attempt": 2, "outcome": "answered", "kept": True},
    ]
    whole = one(
        services,
        "SELECT sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(latency_ms) AS latency_ms,"
        " CAST(round(CAST(sum(cost_usd) AS numeric), 6) AS float) AS cost_usd FROM llm_answers",
    )
    told = plan_of(services, "a")["why"]["llm"]
    assert {name: told[name] for name in whole} == pytest.approx(whole), "the plan tells what both calls came to"


def test_repeated_failure_opens_the_circuit_and_nobody_waits_for_it(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, vendor: str
) -> None:
    services = with_model(services, sandbox, vendor)
    sandbox.world.faults.add({"vendor": vendor, "kind": "error", "status": 529})
    leave_open(services, provider, *(open_signal(f"s{at}", deal=str(300 + at)) for at in range(8)))
    run_second(services)
    found = rows(services, "SELECT why->'llm'->>'outcome' AS code FROM plans")
    codes = [row["code"] for row in found]
    assert sorted(codes) == ["circuit_open"] * 3 + ["transient"] * 5
    assert books(services) == (
        [{"calls": 5, "failed": 5, "input_tokens": 0}],
        [
            {"by": "fallback", "outcome": "transient", "plans": 5},
            {"by": "fallback", "outcome": "circuit_open", "plans": 3},
        ],
    )
    assert rows(services, "SELECT 1 FROM signals WHERE state <> 'done' OR waits_for IS NOT NULL") == []


def test_who_waited_too_long_is_not_asked_about(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, clock: MovableClock
) -> None:
    services = with_model(services, sandbox)
    leave_open(services, provider, open_signal("a"))
    clock.move(minutes=5)
    run_second(services)
    assert plan_of(services, "a")["why"]["llm"]["outcome"] == "waited_too_long"
    assert asked(sandbox) == 0


def test_with_the_provider_switched_off_what_waits_is_decided_by_the_fallback(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    leave_open(with_model(services, sandbox), provider, open_signal("a"))
    run_second(services)
    assert plan_of(services, "a")["why"]["llm"] == {"by": "fallback", "outcome": "llm_off"}


def test_an_answer_is_used_again_after_a_death_between_it_and_the_plan(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    script(sandbox, wants(proposal()))
    leave_open(services, provider, open_signal("a"))
    with transaction(services.engine) as tx:
        parts = contexts.read(tx, [signal_id("a")])[signal_id("a")]
        signal = schemas.stored_signal(signal_row(services, "a"))
    desk = services.desk
    put_to = question.build(signal, parts, desk.policy, desk.template)
    asking.verdict(put_to, signal_id("a"), desk, services.engine, services.clock)
    services.clock.move(minutes=1)
    run_second(services)
    assert asked(sandbox) == 1
    told = plan_of(services, "a")["why"]["llm"]
    assert (told["reused"], told["outcome"]) == (True, "answered")
    assert one(services, "SELECT count(*) AS n FROM llm_answers")["n"] == 1


def test_another_template_or_model_is_another_question(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    leave_open(services, provider, open_signal("a"))
    desk = services.desk
    made = question.build(
        put_signal(services), context_of(services), desk.policy, replace(desk.template, text=desk.template.text + "!")
    )
    same = question.build(put_signal(services), context_of(services), desk.policy, desk.template)
    keys = {made.key("anthropic", "m"), same.key("anthropic", "m"), same.key("anthropic", "n"), same.key("openai", "m")}
    assert len(keys) == 4


def put_signal(services: Services) -> Any:
    return schemas.stored_signal(signal_row(services, "a"))


def test_two_workers_with_one_message_make_one_plan(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    leave_open(services, provider, open_signal("a"))
    (chunk,) = open_chunks(services)
    at_once(4, lambda _: second_pass.run(chunk, services))
    assert asked(sandbox) == 1
    assert one(services, "SELECT count(*) AS n FROM plans")["n"] == 1


def test_no_lock_and_no_transaction_while_the_model_thinks(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    sandbox.world.faults.add({"vendor": "anthropic", "kind": "latency", "seconds": 2.0})
    leave_open(services, provider, open_signal("a"))
    (chunk,) = open_chunks(services)
    seen: list[Any] = []

    def work(number: int) -> None:
        if number == 0:
            second_pass.run(chunk, services)
            return
        until_claimed(services, chunk)
        provider.script[signal_id("b")] = context_of(services)
        put(services, open_signal("b", event="deal.stage_changed", urgency="immediate"))
        run_stage(services, "enrich")
        run_stage(services, "decide")
        seen.append(plan_of(services, "b")["decided_by"])
        seen.append(rows(services, "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"))
        seen.append(rows(services, "SELECT 1 FROM plans WHERE signal_id = :id", id=signal_id("a")))

    at_once(2, work)
    assert seen == ["rules", [], []]
    assert plan_of(services, "a")["decided_by"] == "llm"


def until_claimed(services: Services, chunk: Chunk) -> None:
    deadline = time.monotonic() + 20
    while not rows(services, "SELECT 1 FROM signals WHERE claim_id IS NOT NULL AND signal_id = :id", id=chunk.ids[0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_rule_planned_meanwhile_stands_in_the_models_way(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    script(sandbox, wants(proposal(type="draft_followup", to="301")))
    leave_open(services, provider, open_signal("a"))
    # A newer signal of the deal is decided first, by a rule that wants a draft, too.
    provider.script[signal_id("b")] = context_of(services)
    put(services, open_signal("b", event="deal.stage_changed", urgency="immediate"))
    run_stage(services, "enrich")
    for chunk in sent(services, "signals", "queue = 'decide.immediate'"):
        decide.run(chunk, services)
    run_second(services)
    lost = one(services, "SELECT * FROM actions WHERE rule_id = 'llm'")
    winner = one(services, "SELECT * FROM actions WHERE rule_id = 'ask-first' AND type = 'draft_followup'")
    assert (lost["state"], lost["reason"], lost["suppressed_by"]) == ("suppressed", "already_open", winner["action_id"])
    assert signal_row(services, "a")["disposition"] == "suppressed"


def test_a_worker_with_other_work_puts_back_what_it_has_no_turn_for(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox)
    turns = BoundedSemaphore(1)
    services = replace(services, desk=replace(services.desk, turns=turns))
    leave_open(services, provider, open_signal("a"))
    (chunk,) = open_chunks(services)
    assert turns.acquire(blocking=False)
    second_pass.run(chunk, services)
    row = signal_row(services, "a")
    assert (row["sent_at"], row["claim_id"], row["attempts"]) == (None, None, 0)
    assert row["due_at"] - services.clock.now() == timedelta(seconds=1)
    turns.release()


def test_a_burst_beyond_our_own_rate_waits_its_turn_and_is_asked_about(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, clock: MovableClock
) -> None:
    slow = {("anthropic", "default"): Rate(tokens=1, per_seconds=4, burst=2)}
    services = with_model(services, sandbox, rates=slow)
    leave_open(services, provider, *(open_signal(f"s{at}", deal=str(300 + at)) for at in range(4)))
    run_second(services)
    waiting = rows(services, "SELECT attempts, due_at, claim_id FROM signals WHERE state <> 'done'")
    assert len(waiting) == 2
    assert {row["attempts"] for row in waiting} == {0}
    assert all(row["due_at"] > clock.now() for row in waiting)
    assert {row["decided_by"] for row in rows(services, "SELECT decided_by FROM plans")} == {"llm"}
    clock.move(minutes=5)
    feed.offer(services, ["decide.llm.standard"])
    run_second(services)
    late = rows(services, "SELECT why->'llm'->>'outcome' AS code FROM plans WHERE decided_by = 'fallback'")
    assert [row["code"] for row in late] == ["waited_too_long"] * 2


def test_workers_together_cant_overspend(services: Services, sandbox: SandboxServer) -> None:
    """Twenty at once for a budget of seven: seven are let through, whoever they are."""
    cost, bounds = budget.Cost(1000, 0.01), Budget(tokens=7999, usd=10)
    now = services.clock.now()

    def take(_: int) -> bool:
        with transaction(services.engine) as tx:
            return budget.reserve(tx, cost, bounds, now)

    assert sum(at_once(12, take)) == 7
    assert sum(at_once(8, take)) == 0
    with transaction(services.engine) as tx:
        assert budget.used(tx, now.date()).tokens == 7000
        assert budget.reserve(tx, cost, bounds, now + timedelta(days=1))


def test_what_was_set_aside_is_put_right_by_what_it_cost(
    services: Services, provider: FakeProvider, sandbox: SandboxServer, vendor: str
) -> None:
    services = with_model(services, sandbox, vendor)
    leave_open(services, provider, open_signal("a"))
    run_second(services)
    call = one(services, "SELECT * FROM llm_answers")
    with transaction(services.engine) as tx:
        used = budget.used(tx, services.clock.now().date())
    assert used.tokens == call["input_tokens"] + call["output_tokens"]
    assert used.usd == pytest.approx(call["cost_usd"])


def test_what_may_have_been_answered_stays_counted(
    services: Services, provider: FakeProvider, sandbox: SandboxServer
) -> None:
    services = with_model(services, sandbox, seconds=0.5)
    sandbox.world.faults.add({"vendor": "anthropic", "kind": "latency", "seconds": 2.0, "count": 1})
    sandbox.world.faults.add({"vendor": "anthropic", "kind": "rate_limit"})
    leave_open(services, provider, open_signal("a"), open_signal("b", deal="202"))
    run_second(services)
    with transaction(services.engine) as tx:
        used = budget.used(tx, services.clock.now().date())
    assert 1200 < used.tokens < 6000
    codes = ["rate_limited", "timed_out"]
    assert [row["outcome"] for row in rows(services, "SELECT outcome FROM llm_answers ORDER BY outcome")] == codes
    calls, decided = books(services)
    assert calls == [{"calls": 2, "failed": 2, "input_tokens": 0}]
    assert decided == [{"by": "fallback", "outcome": code, "plans": 1} for code in codes]


def books(services: Services) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What `revpipe llm usage` counts: calls, and who decided."""
    since = services.clock.now() - timedelta(days=1)
    with transaction(services.engine) as tx:
        calls, decided = answers.usage(tx, since), answers.outcomes(tx, since)
    return [{name: row[name] for name in ("calls", "failed", "input_tokens")} for row in calls], decided
