"""Many edits of one deal: the first is decided at once, the others as one, and each is accounted for by name."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event

from config.queues import PRIORITIES
from revpipe import balance, bootstrap, decide, feed, forecasts, queries, sweep, tallies
from revpipe.db import transaction
from revpipe.ports import Part
from revpipe.rules import book as rules
from revpipe.services import Services
from revpipe.story import view
from revpipe.work import SIGNALS, Chunk, claim
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    at_once,
    one,
    put,
    rows,
    run_stage,
    run_to,
    sent,
    signal_id,
    signal_row,
    trail_of,
)
from tests.integration.ledger_rules import TYPES

ASKED = """
rules:
  - id: stage
    description: A stage change wants a task, about the stage that it went to.
    owner: tests
    on: [deal.stage_changed]
    when: signal.new_value != null
    cooldown: 1m
    then:
      - type: create_task
        params: {subject: "{{ signal.new_value }}", deal_id: "{{ deal.id }}"}
  - id: anything
    description: Whatever happens is told, with how much it was.
    owner: tests
    on: ["deal.*"]
    when: size(signal.changes) > 0
    cooldown: 1m
    then:
      - type: send_alert
        params: {channel: null, title: "{{ signal.urgency }}", text: a}
  - id: both
    description: Two changes together, one of which went to the stage won.
    owner: tests
    on: [deal.amount_changed]
    when: size(signal.changes) > 1 && signal.changes.exists(c, c.event == "deal.stage_changed" && c.new_value == "won")
"""

Make = Callable[..., Services]


@pytest.fixture
def asked(make_services: Make) -> Services:
    shipped = (bootstrap.CONFIG / "sources.yaml").read_text(encoding="utf-8")
    return make_services(rules=rules.load(ASKED, TYPES), needs=shipped)


def edit(name: str, deal: str | None = "d1", event: str = "deal.amount_changed", **more: Any) -> dict[str, Any]:
    """An edit of a deal; its new value is its name."""
    payload = {"property": "amount", "new_value": name, "object_type": "deal", "object_id": deal}
    return {"id": name, "deal": deal, "event": event, "payload": payload, **more}


def arrive(services: Services, *events: Mapping[str, Any]) -> None:
    """Each in a webhook of its own, enriched and looked at by stage decide."""
    for each in events:
        put(services, each)
        run_to(services, "decide")


def come_due(services: Services, clock: MovableClock, seconds: float = 5.0) -> None:
    """The time passes and the keeper feeds what is due to stage decide."""
    clock.move(seconds=seconds)
    feed.offer(services, [f"decide.{priority}" for priority in PRIORITIES])
    run_stage(services, "decide")


def plans(services: Services) -> list[Any]:
    return [row["signal_id"] for row in rows(services, "SELECT signal_id FROM plans ORDER BY created_at, plan_id")]


def balanced(services: Services) -> balance.Balance:
    tallies.fold(services.engine)
    found = balance.compute(services.engine, services.clock.now(), services.clock.now() - timedelta(hours=1))
    assert found.holds, found.as_dict()
    return found


def test_the_first_edit_is_decided_at_once_and_the_next_waits(asked: Services) -> None:
    arrive(asked, edit("a"), edit("b"))
    assert plans(asked) == [signal_id("a")]
    waits = signal_row(asked, "b")
    assert (waits["state"], waits["stage"], waits["queue"]) == ("enriched", "decide", "decide.standard")
    assert (waits["gathering"], waits["attempts"], waits["claim_id"], waits["sent_at"]) == ("deal:d1", 0, None, None)
    assert waits["due_at"] == asked.clock.now() + timedelta(seconds=5)
    assert trail_of(asked, "b") == ["received", "enriched", "gathering"]
    assert feed.offer(asked, ["decide.standard"]) == 0
    assert balanced(asked).classes["on_its_way"] == 2


def test_twenty_edits_make_two_decisions_and_each_is_named(asked: Services, clock: MovableClock) -> None:
    names = [f"e{at:02}" for at in range(20)]
    for name in names:
        arrive(asked, edit(name))
        clock.move(seconds=0.2)
    assert plans(asked) == [signal_id("e00")]
    come_due(asked, clock)
    assert plans(asked) == [signal_id("e00"), signal_id("e19")]
    for name in names[1:-1]:
        row = signal_row(asked, name)
        assert (row["state"], row["disposition"], row["reason"]) == ("done", "coalesced", "quiet_period")
        assert (row["coalesced_into"], row["gathering"], row["queue"]) == (signal_id("e19"), None, None)
        assert trail_of(asked, name)[-2:] == ["gathering", "coalesced"]
    found = balanced(asked)
    # The second alert is suppressed, since the first has not gone out yet.
    assert (found.dispositions["coalesced"], found.dispositions["suppressed"], found.open) == (18, 1, 1)
    assert found.accepted == 20


def test_a_fixed_end_so_that_edits_without_end_put_off_nothing(asked: Services, clock: MovableClock) -> None:
    arrive(asked, edit("first"))
    for turn in range(12):
        clock.move(seconds=1)
        feed.offer(asked, ["decide.standard"])
        arrive(asked, edit(f"n{turn:02}"))
    waited = rows(asked, "SELECT signal_id FROM signals WHERE gathering IS NOT NULL AND due_at < :now", now=clock.now())
    assert waited == []
    assert len(plans(asked)) == 3


def test_what_comes_together_is_decided_together(asked: Services) -> None:
    put(asked, *(edit(f"b{at:03}", age_s=200 - at) for at in range(100)), edit("other", "d2"))
    run_to(asked, "decide")
    assert set(plans(asked)) == {signal_id("b099"), signal_id("other")}
    assert balanced(asked).dispositions["coalesced"] == 99


def test_a_bulk_edit_of_one_deal_makes_few_decisions(asked: Services, clock: MovableClock) -> None:
    for lot in range(5):
        put(asked, *(edit(f"{lot}-{at}", age_s=600 - 100 * lot - at / 2) for at in range(100)))
        run_to(asked, "decide")
    come_due(asked, clock)
    assert len(plans(asked)) == 2
    assert balanced(asked).dispositions["coalesced"] == 498


def test_a_rule_is_asked_about_the_change_that_it_listens_to(
    asked: Services, clock: MovableClock, provider: FakeProvider
) -> None:
    at = clock.now()
    provider.script[signal_id("won")] = {
        "deal": Part("deal", "crm", at, {"id": "d1"}),
        "change": Part("change", "crm", at, {"old_value": "lost", "new_value": "won"}),
    }
    arrive(asked, edit("a"))
    clock.move(seconds=90)
    arrive(asked, edit("b"), edit("won", event="deal.stage_changed", age_s=3), edit("c", age_s=2))
    come_due(asked, clock)
    found = {row["type"]: row for row in rows(asked, "SELECT * FROM actions WHERE signal_id = :id", id=signal_id("c"))}
    assert found["create_task"]["params"]["subject"] == "won"
    told = one(asked, "SELECT why FROM plans WHERE signal_id = :id", id=signal_id("c"))["why"]
    assert told["fired"] == ["stage", "anything", "both"]


def test_immediate_never_waits_and_takes_along_what_does(asked: Services, clock: MovableClock) -> None:
    arrive(asked, edit("a"), edit("b", age_s=4), edit("now", urgency="immediate", age_s=1))
    assert set(plans(asked)) == {signal_id("a"), signal_id("now")}
    assert signal_row(asked, "b")["coalesced_into"] == signal_id("now")
    arrive(asked, edit("late", age_s=0), edit("again", urgency="immediate", age_s=3))
    assert set(plans(asked)) == {signal_id("a"), signal_id("now"), signal_id("late")}
    carried, survivor = signal_row(asked, "again"), signal_row(asked, "late")
    assert carried["coalesced_into"] == signal_id("late")
    assert survivor["priority"] == "immediate"
    alert = one(asked, "SELECT params FROM actions WHERE signal_id = :id", id=signal_id("late"))
    assert alert["params"]["title"] == "immediate"
    come_due(asked, clock, 60)
    assert len(plans(asked)) == 3


@pytest.mark.parametrize("event", ["deal.amount_changed", "call.completed"])
def test_zero_switches_it_off(make_services: Make, event: str) -> None:
    needs = "context:\n  - {events: ['*'], optional: [deal], quiet: 0}\n"
    services = make_services(rules=rules.load(ASKED, TYPES), needs=needs)
    arrive(services, *(edit(f"x{at}", event=event) for at in range(4)))
    put(services, *(edit(f"y{at}", event=event) for at in range(4)))
    run_to(services, "decide")
    assert len(plans(services)) == 8
    assert rows(services, "SELECT * FROM quiet_periods") == []


def test_a_signal_of_no_deal_waits_for_nobody(asked: Services) -> None:
    arrive(asked, edit("a", None), edit("b", None))
    assert len(plans(asked)) == 2


def test_two_deciders_at_once_make_one_decision(asked: Services, clock: MovableClock) -> None:
    for turn in range(10):
        deal, names = f"deal-{turn}", [f"{turn}-{at}" for at in range(5)]
        arrive(asked, *(edit(name, deal) for name in names))
        clock.move(seconds=5)
        feed.offer(asked, ["decide.standard"])
        ids = [row_id for chunk in sent(asked, "signals", "stage = 'decide'") for row_id in chunk.ids]
        number = signal_row(asked, names[1])["send_no"]
        assert len(ids) == 4
        at_once(4, lambda at, ids=ids, number=number: decide.run(Chunk((ids[at],), number), asked))  # type: ignore[misc]
        found = rows(asked, "SELECT disposition FROM signals WHERE deal_id = :deal", deal=deal)
        assert sum(row["disposition"] == "coalesced" for row in found) == 3
        assert len(rows(asked, "SELECT 1 FROM plans JOIN signals USING (signal_id) WHERE deal_id = :d", d=deal)) == 2
    assert rows(asked, "SELECT * FROM dead_letters") == []
    assert balanced(asked).dispositions["coalesced"] == 30


def test_what_another_worker_took_is_carried_and_its_worker_finds_nothing(asked: Services, clock: MovableClock) -> None:
    arrive(asked, edit("a"), edit("b", age_s=4), edit("c", event="deal.stage_changed", age_s=2))
    clock.move(seconds=5)
    feed.offer(asked, ["decide.standard"])
    number = signal_row(asked, "c")["send_no"]
    with transaction(asked.engine) as tx:
        held = claim(tx, SIGNALS, "decide", Chunk((signal_id("c"),), number), clock.now())
    assert decide.run(Chunk((signal_id("b"),), number), asked) is None
    assert plans(asked) == [signal_id("a"), signal_id("c")]
    survivor = signal_row(asked, "c")
    assert (survivor["stage"], survivor["claim_id"]) == ("execute", None)
    assert decide.settle(held, asked).onward == []
    assert len(plans(asked)) == 2


def test_a_worker_killed_while_it_gathers_loses_nothing(asked: Services, clock: MovableClock) -> None:
    arrive(asked, edit("a"), edit("b", age_s=4), edit("c", age_s=2))
    clock.move(seconds=5)
    feed.offer(asked, ["decide.standard"])
    number = signal_row(asked, "b")["send_no"]
    with transaction(asked.engine) as tx:
        claim(tx, SIGNALS, "decide", Chunk((signal_id("b"), signal_id("c")), number), clock.now())
    clock.move(seconds=31)
    assert sweep.sweep(asked)["lease_expired"] == 2
    feed.offer(asked, ["decide.quarantine"])
    run_stage(asked, "decide")
    assert set(plans(asked)) == {signal_id(name) for name in "abc"}
    assert rows(asked, "SELECT signal_id FROM signals WHERE gathering IS NOT NULL") == []
    balanced(asked)


def test_what_breaks_a_decision_is_not_taken_along_again(
    asked: Services, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(asked, edit("a"), edit("bad", age_s=4), edit("c", age_s=2))
    real = decide.decide

    def breaks(case: Any, *rest: Any) -> Any:
        if signal_id("bad") in {case.signal.signal_id, *(one.signal.signal_id for one in case.carries)}:
            raise ZeroDivisionError("bad")
        return real(case, *rest)

    monkeypatch.setattr(decide, "decide", breaks)
    for _ in range(6):
        come_due(asked, clock, 60)
    assert set(plans(asked)) == {signal_id("a"), signal_id("c")}
    assert signal_row(asked, "bad")["disposition"] == "dead_lettered"
    balanced(asked)


def test_a_message_that_comes_twice_finds_nothing_to_do(asked: Services, clock: MovableClock) -> None:
    arrive(asked, edit("a"))
    put(asked, edit("b"))
    (chunk,) = run_to(asked, "decide")
    assert decide.run(chunk, asked) is None
    come_due(asked, clock)
    assert decide.run(chunk, asked) is None
    assert len(plans(asked)) == 2


def test_trace_and_replay_of_a_carried_signal_name_its_survivor(asked: Services) -> None:
    put(asked, edit("b", age_s=4), edit("c", age_s=2))
    run_to(asked, "decide")
    with transaction(asked.engine) as tx:
        carried, survivor = queries.story(tx, signal_id("b")), queries.story(tx, signal_id("c"))
        refusal = forecasts.of_signal(tx, signal_id("b")).refusal or ""
    told = "\n".join(view.lines(carried))
    assert f"coalesced into signal {signal_id('c')}" in told
    assert f"signal {signal_id('c')}, which was decided for both" in told
    assert f"carries{signal_id('b')}" in "\n".join(view.lines(survivor)).replace(" ", "")
    assert str(signal_id("c")) in refusal


def test_a_survivor_decided_anew_carries_what_it_carried(asked: Services, clock: MovableClock) -> None:
    put(asked, edit("won", event="deal.stage_changed", age_s=4), edit("c", age_s=2))
    run_to(asked, "decide")
    with transaction(asked.engine) as tx:
        tx.exec_driver_sql("UPDATE actions SET state = 'failed'")
        tx.exec_driver_sql(
            "UPDATE signals SET state = 'enriched', stage = 'decide', queue = 'decide.standard', replays = 1,"
            " sent_at = NULL WHERE disposition IS NULL"
        )
    come_due(asked, clock, 0)
    assert one(asked, "SELECT why FROM plans")["why"]["fired"] == ["stage", "anything", "both"]


def test_a_hundred_deals_cost_one_statement_more(make_services: Make) -> None:
    counts = {}
    for name, quiet in (("off", "0"), ("on", "5s")):
        needs = f"context:\n  - {{events: ['*'], optional: [deal], quiet: {quiet}}}\n"
        services = make_services(rules=rules.load(ASKED, TYPES), needs=needs)
        put(services, *(edit(f"{name}{at}", f"{name}-{at}") for at in range(100)))
        (chunk,) = run_to(services, "enrich")
        statements: list[str] = []

        def note(_: Connection, __: Any, statement: str, *___: Any, statements: list[str] = statements) -> None:
            statements.append(statement)

        event.listen(services.engine, "before_cursor_execute", note)
        decide.run(chunk, services)
        event.remove(services.engine, "before_cursor_execute", note)
        counts[name] = len(statements)
    assert counts["on"] == counts["off"] + 1
