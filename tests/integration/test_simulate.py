"""What rules would have decided: the same as was decided, where nothing changed; and nothing is touched by asking."""

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from config.queues import QUEUES
from revpipe import bootstrap
from revpipe.db import transaction
from revpipe.ports import Clock, Part
from revpipe.rules import book as rules
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from revpipe.simulating import ledger
from revpipe.simulating.judge import Trial
from revpipe.simulating.ledger import LedgerPast, Period, left_out, looking
from revpipe.simulating.past import Share
from revpipe.simulating.run import Compared, Simulated, compare, simulate
from tests.broker_control import BrokerControl
from tests.integration.conftest import ALL_TABLES, MakeServices
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    put,
    rows,
    run_act,
    run_to,
    signal_id,
    signal_row,
)
from tests.integration.ledger_rules import TYPES

BIG = """
rules:
  - id: big-deal-moves
    description: A big deal went to another stage.
    owner: tests
    on: [deal.stage_changed]
    when: deal.amount >= {amount} && deal.is_closed == false
    cooldown: 3d
    then:
      - type: create_task
        params: {{subject: "Look at {{{{ deal.name }}}}", deal_id: "{{{{ deal.id }}}}"}}
  - id: names-nobody
    description: A call on which nobody was named needs nothing.
    owner: tests
    on: [call.completed]
    when: size(signal.competitors) == 0
"""


def big(amount: int) -> RuleBook:
    return rules.load(BIG.format(amount=amount), TYPES)


def period(services: Services, **back: float) -> Period:
    return Period(services.clock.now() - timedelta(**(back or {"days": 30})), services.clock.now() + timedelta(1))


def tried(services: Services, book: RuleBook, when: Period, jobs: int = 1) -> Simulated:
    with looking(services.engine) as (_, snapshot):
        past = LedgerPast(services.settings, when, snapshot).asked_by(book)
        return simulate(past, Trial(book, services.policy), jobs)


def compared(services: Services, old: RuleBook, new: RuleBook, when: Period) -> Compared:
    with looking(services.engine) as (_, snapshot):
        past = LedgerPast(services.settings, when, snapshot).asked_by(old, new)
        return compare(past, Trial(old, services.policy), Trial(new, services.policy), 1)


def happened(services: Services, provider: FakeProvider, *events: dict[str, Any], amount: float = 60_000) -> None:
    """Let events take the whole way, with an open deal of this amount behind each."""
    for event in events:
        provider.script.setdefault(signal_id(event["id"]), open_deal(event["deal"], amount, services.clock))
    put(services, *events)
    run_to(services, "execute")
    run_act(services)


def open_deal(deal: str, amount: float, clock: Clock) -> dict[str, Part]:
    value = {"id": deal, "name": "Hooli", "is_closed": False, "amount": amount}
    return {"deal": Part("deal", "crm", clock.now(), value)}


def fortnight(services: Services, clock: MovableClock, provider: FakeProvider) -> list[tuple[str, str, float, Any]]:
    """Stage changes of four deals over a fortnight, with amounts up and down; returns (name, deal, amount, when)."""
    told, chance = [], random.Random(5)
    for day in range(14):
        for deal in ("d0", "d1", "d2", "d3"):
            name, amount = f"{deal}-{day}", float(chance.randint(30_000, 90_000))
            provider.script[signal_id(name)] = open_deal(deal, amount, clock)
            told.append((name, deal, amount, clock.now()))
        events = [{"id": f"d{at}-{day}", "deal": f"d{at}", "event": "deal.stage_changed"} for at in range(4)]
        happened(services, provider, *events)
        clock.move(days=1)
    return told


def test_rules_that_did_not_change_decide_what_was_decided(
    services: Services, clock: MovableClock, provider: FakeProvider, book: RuleBook
) -> None:
    for step in range(40):
        kind = ("call.completed", "deal.stage_changed", "call.completed")[step % 3]
        payload = {"competitors": ["Initech"] if step % 2 else [], "call_id": str(step)}
        event = {"id": f"s{step}", "deal": f"d{step % 4}", "event": kind, "payload": payload}
        happened(services, provider, event, amount=10_000.0 * step)
        clock.move(hours=5)
    found = tried(services, book, period(services)).sums
    real = rows(
        services,
        "SELECT rule_id, type, count(*) FILTER (WHERE suppressed_by IS NULL) AS planned,"
        " count(*) FILTER (WHERE reason = 'cooldown') AS cooldown,"
        " count(*) FILTER (WHERE reason = 'already_open') AS already_open FROM actions GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert len(real) == 4
    assert {row["cooldown"] > 0 or row["already_open"] > 0 for row in real} == {True}
    for row in real:
        rule, type_ = row["rule_id"], row["type"]
        assert found.counts["action", rule, type_] == row["planned"]
        assert found.counts["suppressed", rule, type_, "cooldown"] == row["cooldown"]
        assert found.counts["suppressed", rule, type_, "already_open"] == row["already_open"]
    assert found.signals == 40
    ended = rows(services, "SELECT reason, count(*) AS n FROM signals WHERE disposition = 'nothing_due' GROUP BY 1")
    assert {row["reason"]: row["n"] for row in ended} == {"rule:quiet-call": found.counts["nothing_due", "quiet-call"]}


def test_a_survivor_is_judged_with_what_it_carries(
    make_services: MakeServices, clock: MovableClock, provider: FakeProvider, book: RuleBook
) -> None:
    shipped = (bootstrap.CONFIG / "sources.yaml").read_text(encoding="utf-8")
    services = make_services(rules=book, needs=shipped)
    happened(
        services,
        provider,
        {"id": "s1", "deal": "d1", "event": "deal.stage_changed", "age_s": 4},
        {"id": "s2", "deal": "d1", "event": "deal.amount_changed", "age_s": 2},
    )
    assert signal_row(services, "s1")["coalesced_into"] == signal_id("s2")
    clock.move(hours=1)
    found = tried(services, book, period(services)).sums
    # No rule listens to the amount: what fires was carried along.
    assert [found.counts["action", "ask-first", one] for one in ("update_crm", "draft_followup")] == [1, 1]
    assert found.left_open == 0


@pytest.mark.parametrize("amount", [45_000, 60_000, 75_000])
def test_a_changed_threshold_changes_exactly_the_signals_that_a_count_by_hand_finds(
    make_services: MakeServices, clock: MovableClock, provider: FakeProvider, amount: int
) -> None:
    services = make_services(rules=big(50_000))
    told = fortnight(services, clock, provider)

    def by_hand(least: float) -> dict[str, str]:
        done: dict[str, Any] = {}
        outcome = {}
        for name, deal, value, at in told:
            if value < least:
                outcome[name] = "open"
            elif deal in done and at - done[deal] < timedelta(days=3):
                outcome[name] = "cooldown"
            else:
                outcome[name], done[deal] = "task", at
        return outcome

    before, after = by_hand(50_000), by_hand(amount)
    wanted = {str(signal_id(name)) for name in before if before[name] != after[name]}
    # One that neither threshold lets pass must be among them: a cooldown that does not begin any more.
    assert any(value >= max(50_000, amount) and before[name] != after[name] for name, _, value, _ in told)
    found = compared(services, big(50_000), big(amount), period(services))
    assert {one.signal_id for one in found.changes} == wanted
    assert found.changed == len(wanted)
    for sums, hand in ((found.before, before), (found.after, after)):
        assert sums.total("action") == list(hand.values()).count("task")
        assert sums.left_open == list(hand.values()).count("open")
        assert sums.total("suppressed") == list(hand.values()).count("cooldown")
    told_by = {str(signal_id(name)): value for name, _, value, _ in told}
    for one in found.changes:
        (cause,) = one.causes
        between = min(50_000, amount) <= told_by[one.signal_id] < max(50_000, amount)
        assert cause.what == ("term" if between else "history")
        if between:
            assert cause.values["deal.amount"] == told_by[one.signal_id]
            assert f"deal.amount >= {max(50_000, amount)}" in cause.text
            assert (cause.before, cause.after) in ((None, False), (False, None))


def test_the_same_book_changes_nothing(
    make_services: MakeServices, clock: MovableClock, provider: FakeProvider
) -> None:
    services = make_services(rules=big(50_000))
    fortnight(services, clock, provider)
    found = compared(services, big(50_000), big(50_000), period(services))
    assert (found.changed, found.changes, found.by_rule) == (0, [], {})
    assert found.before.counts == found.after.counts


def test_shares_of_subjects_add_up(make_services: MakeServices, clock: MovableClock, provider: FakeProvider) -> None:
    services = make_services(rules=big(50_000))
    fortnight(services, clock, provider)
    with looking(services.engine) as (_, snapshot):
        past = LedgerPast(services.settings, period(services), snapshot)
        parts = [[one for batch in past.batches(Share(at, 3)) for one in batch.pasts] for at in range(3)]
        whole = [one for batch in past.batches(Share()) for one in batch.pasts]
    assert sum(bool(one) for one in parts) > 1
    subjects = [{one.case.subject for one in part} for part in parts]
    assert set.union(*subjects) == {one.case.subject for one in whole}
    assert sum(len(one) for one in subjects) == len(set.union(*subjects))
    assert sum(len(one) for one in parts) == len(whole) == 56
    assert [one.at for one in whole] == sorted(one.at for one in whole)


def test_what_no_rule_saw_is_said(services: Services, provider: FakeProvider) -> None:
    happened(services, provider, {"id": "s1", "deal": "d1", "event": "deal.stage_changed"})
    put(services, {"id": "s2", "deal": "d1", "event": "deal.stage_changed"})
    with looking(services.engine) as (tx, _):
        assert left_out(tx, period(services)) == {"not enriched yet": 1}


def test_it_only_reads(
    services: Services, clock: MovableClock, provider: FakeProvider, broker: BrokerControl, book: RuleBook
) -> None:
    for at in range(6):
        happened(services, provider, {"id": f"s{at}", "deal": f"d{at}", "event": "deal.stage_changed"})
        clock.move(hours=1)
    before = _everything(services), [broker.count(one) for one in QUEUES]
    simulated = tried(services, big(10), period(services))
    compared(services, book, big(10), period(services))
    assert simulated.sums.total("action") == 6
    assert (_everything(services), [broker.count(one) for one in QUEUES]) == before


def test_its_transactions_can_not_write(services: Services) -> None:
    with looking(services.engine) as (tx, _):
        assert tx.execute(text("SHOW transaction_read_only")).scalar() == "on"
        with pytest.raises(InternalError, match="read-only transaction"):
            tx.execute(text("DELETE FROM plans"))


def test_those_of_its_workers_can_not_either(
    services: Services, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened(services, provider, {"id": "s1", "deal": "d1", "event": "deal.stage_changed"})
    monkeypatch.setattr(ledger, "_REAL", f"WITH gone AS (DELETE FROM approvals RETURNING 1) {ledger._REAL}")
    with pytest.raises(InternalError, match="read-only transaction"):
        tried(services, big(10), period(services))


def _everything(services: Services) -> dict[str, list[dict[str, Any]]]:
    with transaction(services.engine) as tx:
        return {
            name: sorted(str(dict(row)) for row in tx.execute(text(f"SELECT * FROM {name}")).mappings())
            for name in ALL_TABLES
        }
