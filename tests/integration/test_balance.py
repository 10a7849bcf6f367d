"""The balance: exact while everything moves, and whatever is broken on purpose is named."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from revpipe import balance, in_flight, strays, tallies
from revpipe.balance import Balance
from revpipe.cli import cli
from revpipe.db import make_engine, transaction
from revpipe.dispositions import reopen
from revpipe.errors import EffectUnknown, Permanent
from revpipe.keeper import Keeper
from revpipe.services import Services
from revpipe.web.app import create_app
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    call,
    offer_due,
    one,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    signal_id,
    trail_of,
)

LONG = timedelta(hours=1)
ENDINGS: tuple[dict[str, Any], ...] = (
    {"suppressed": "own_write"},
    {"event": "deal.updated", "payload": {"property": "hs_note"}},
)


def look(services: Services, on_duty: timedelta | None = LONG) -> Balance:
    now = services.clock.now()
    return balance.compute(services.engine, now, None if on_duty is None else now - on_duty)


def watch(services: Services) -> Balance:
    found = balance.watch(services, services.clock.now() - LONG)
    assert found is not None
    return found


def by_hand(services: Services, name: str, change: str) -> None:
    rows(services, f"UPDATE signals SET {change} WHERE signal_id = :id", id=signal_id(name))


def stuck(found: Balance) -> dict[str, list[Any]]:
    return {stuck.cause: list(stuck.signal_ids) for stuck in found.stuck}


def ledger_says(services: Services) -> dict[str, int]:
    found = rows(services, "SELECT disposition, count(*) AS n FROM signals WHERE state = 'done' GROUP BY 1")
    return {row["disposition"]: row["n"] for row in found}


def test_every_way_in_and_out_is_counted_once(services: Services, hubspot: FakeAdapter) -> None:
    hubspot.script = lambda order: Permanent("no such owner") if order.deal_id == "bad" else EffectUnknown("who knows")
    put(services, call("acted"), call("buried", "bad"), call("unsure", "odd"), call("own", suppressed="own_write"))
    more = (call(f"more{at}", f"m{at}") for at in range(3))
    put(services, {"id": "noise", "event": "deal.updated", "deal": "d9"}, call("acted"), *more)
    assert look(services).classes["on_its_way"] == 7
    run_to(services, "execute")
    run_act(services)
    found = watch(services)
    assert (found.holds, found.accepted, found.open) == (True, 8, 8 - sum(ledger_says(services).values()))
    assert found.dispositions == ledger_says(services)
    assert found.dispositions["dead_lettered"] == 1
    assert found.dispositions["suppressed"] == 1
    assert found.classes["unknown"] == found.open > 0
    assert rows(services, "SELECT * FROM tallies") == []
    assert watch(services) == found


def test_a_changed_and_a_reopened_end_are_taken_back(services: Services) -> None:
    put(services, call("a", suppressed="own_write"), call("b", suppressed="own_write"))
    tallies.fold(services.engine)
    now = services.clock.now()
    with transaction(services.engine) as tx:
        assert reopen(tx, signal_id("a"), stage="enrich", due=now)
    found = look(services)
    assert (found.holds, found.accepted, found.dispositions, found.open) == (True, 2, {"suppressed": 1}, 1)


def test_a_signal_whose_row_is_gone_is_named(services: Services) -> None:
    put(services, *(call(name) for name in "abc"))
    rows(services, "DELETE FROM signals WHERE signal_id = :id", id=signal_id("b"))
    found = watch(services)
    assert (found.difference, found.holds) == (1, False)
    assert [(off.difference, off.blamed) for off in found.off] == [(1, {"lost": (signal_id("b"),)})]


def test_an_end_written_by_hand_is_named_and_so_is_one_taken_back(services: Services) -> None:
    put(services, call("a"), call("b"), call("c", suppressed="own_write"), call("d", suppressed="own_write"))
    by_hand(services, "a", "state = 'done', disposition = 'acted', queue = NULL")
    (off,) = watch(services).off
    assert (off.difference, off.blamed) == (1, {"changed": (signal_id("a"),)})
    by_hand(services, "c", "state = 'waiting', disposition = NULL")
    by_hand(services, "d", "state = 'waiting', disposition = NULL")
    (off,) = watch(services).off
    assert off.difference == -1
    assert off.blamed == {"changed": tuple(sorted([signal_id("a"), signal_id("c"), signal_id("d")]))}


def test_a_surplus_in_one_hour_does_not_hide_a_lack_in_another(services: Services, clock: MovableClock) -> None:
    put(services, call("old"))
    clock.move(hours=1)
    put(services, call("new", suppressed="own_write"))
    rows(services, "DELETE FROM signals WHERE signal_id = :id", id=signal_id("old"))
    by_hand(services, "new", "state = 'waiting', disposition = NULL")
    found = watch(services)
    assert sorted(off.difference for off in found.off) == [-1, 1]
    assert found.difference == 2


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("state = 'waiting', queue = NULL", "nothing_open"),
        ("queue = NULL", "no_queue"),
        ("queue = 'enrich.gone', stage = 'gone'", "no_such_queue"),
        ("claim_id = signal_id, lease_until = now() - interval '2 minutes'", "lease_over"),
        ("sent_at = now() - interval '11 minutes'", "no_worker_took_it"),
        ("sent_at = NULL, due_at = now() - interval '11 minutes'", "no_worker_took_it"),
        ("state = 'parked', sent_at = NULL, due_at = now() + interval '3 days'", "over_its_time"),
        (
            "state = 'parked', waits_for = 'hubspot', sent_at = NULL, expires_at = now() - interval '11 minutes'",
            "over_its_time",
        ),
    ],
)
def test_a_signal_that_nothing_will_move_is_named_with_its_cause(services: Services, change: str, cause: str) -> None:
    put(services, call("good"), call("bad"))
    by_hand(services, "bad", change)
    found = watch(services)
    assert (found.off, stuck(found), found.classes["stuck"]) == ((), {cause: [signal_id("bad")]}, 1)
    assert set(in_flight.REMEDIES) >= {cause}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("state = 'planned', queue = NULL", "never_released"),
        ("state = 'awaiting_approval', queue = NULL", "nobody_asked"),
        ("queue = NULL", "no_queue"),
        ("queue = 'execute.gone.low', adapter = 'gone'", "no_such_queue"),
        ("sent_at = NULL, due_at = now() + interval '3 days'", "over_its_time"),
        ("claim_id = action_id, lease_until = now() - interval '2 minutes'", "lease_over"),
    ],
)
def test_an_action_that_nothing_will_move_names_its_signal(services: Services, change: str, cause: str) -> None:
    put(services, call("good"), call("bad", "d2"))
    run_to(services, "execute")
    assert look(services).classes["actions"] == 2
    rows(services, f"UPDATE actions SET {change} WHERE signal_id = :id AND adapter = 'hubspot'", id=signal_id("bad"))
    assert stuck(watch(services)) == {cause: [signal_id("bad")]}


def test_what_waits_by_right_is_in_its_class(services: Services) -> None:
    put(services, *(call(name, f"d-{name}") for name in ("moving", "retry", "parked", "waits", "claimed")))
    by_hand(services, "retry", "sent_at = NULL, due_at = now() + interval '2 minutes'")
    by_hand(services, "parked", "state = 'parked', sent_at = NULL, due_at = now() + interval '2 minutes'")
    by_hand(services, "waits", "waits_for = 'hubspot', sent_at = NULL, due_at = now() - interval '40 minutes'")
    by_hand(
        services,
        "claimed",
        "claim_id = signal_id, sent_at = now() - interval '1 hour', lease_until = now() + interval '9 seconds'",
    )
    found = watch(services)
    assert (found.holds, found.classes["on_its_way"], found.classes["parked"]) == (True, 3, 2)


def test_workers_are_blamed_only_once_the_keeper_has_fed_them_for_ten_minutes(services: Services) -> None:
    put(services, call("a"))
    by_hand(services, "a", "sent_at = now() - interval '20 minutes'")
    assert look(services, timedelta(minutes=9)).holds
    assert look(services, None).holds
    assert stuck(look(services, timedelta(minutes=11))) == {"no_worker_took_it": [signal_id("a")]}


def test_of_many_stuck_signals_the_oldest_twenty_are_named_and_all_are_counted(services: Services) -> None:
    put(services, *(call(f"s{at:02}") for at in range(25)))
    rows(services, "UPDATE signals SET queue = NULL")
    ((cause),) = watch(services).stuck
    assert (cause.count, len(cause.signal_ids)) == (25, 20)


def test_the_alarm_is_given_once_for_each_change(services: Services) -> None:
    def alarms() -> list[str]:
        with capture_logs() as logged:
            watch(services)
        return [str(entry["event"]) for entry in logged if str(entry["event"]).startswith("balance_")]

    put(services, call("a"), call("b"))
    assert alarms() == []
    by_hand(services, "a", "queue = NULL")
    assert (alarms(), alarms()) == (["balance_off"], [])
    by_hand(services, "b", "queue = NULL")
    assert (alarms(), alarms()) == (["balance_off"], [])
    rows(services, "UPDATE signals SET queue = 'enrich.standard'")
    assert (alarms(), alarms()) == (["balance_holds_again"], [])


def test_rows_of_a_queue_that_is_gone_come_back_to_the_one_there_is(services: Services) -> None:
    put(services, call("a"), call("b", "d2"))
    run_to(services, "execute")
    put(services, call("c", "d3"))
    by_hand(services, "c", "queue = 'enrich.old_name'")
    rows(services, "UPDATE actions SET queue = 'execute.old.' || priority WHERE adapter = 'hubspot'")
    assert stuck(look(services))["no_such_queue"]
    assert strays.bring_back(services) == 3
    assert strays.bring_back(services) == 0
    assert watch(services).holds
    assert trail_of(services, "c")[-1] == "requeued"
    offer_due(services)
    run_act(services)
    run_stage(services, "enrich")
    assert one(services, "SELECT count(*) AS n FROM actions WHERE state = 'done' AND adapter = 'hubspot'")["n"] == 2
    assert one(services, "SELECT state FROM signals WHERE signal_id = :id", id=signal_id("c"))["state"] == "enriched"


def test_while_signals_flow_and_two_keepers_fold_it_never_gives_a_false_alarm(services: Services) -> None:
    done = threading.Event()
    looks: list[Balance] = []

    def traffic(mark: str) -> None:
        for turn in range(6):
            put(services, *(call(f"{mark}{turn}-{at}", f"{mark}{turn}-{at}") for at in range(8)))
            put(services, call(f"{mark}{turn}-x", suppressed="own_write"))

    def until_done(work: Callable[[], object]) -> None:
        while not done.is_set():
            work()

    def stages() -> None:
        run_to(services, "execute")
        offer_due(services)
        run_act(services)

    def left() -> int:
        return int(one(services, "SELECT count(*) AS n FROM signals WHERE state <> 'done'")["n"])

    with ThreadPoolExecutor(6) as pool:
        senders = [pool.submit(traffic, mark) for mark in "ab"]
        fold = partial(tallies.fold, services.engine)
        others = [pool.submit(until_done, work) for work in (stages, fold, fold, lambda: looks.append(look(services)))]
        try:
            while not any(one.done() for one in others) and (not all(one.done() for one in senders) or left()):
                done.wait(0.05)
        finally:
            done.set()
        for future in (*senders, *others):
            future.result()
    assert [found.as_dict() for found in looks if not found.holds] == []
    assert len({found.accepted for found in looks}) > 2
    assert any(found.open for found in looks)
    tallies.fold(services.engine)
    end = look(services)
    assert (end.accepted, end.open, end.dispositions) == (108, 0, ledger_says(services))


def test_it_reads_open_signals_only_however_long_history_is(services: Services) -> None:
    put(services, *(call(f"s{at}", f"d{at}") for at in range(20)))
    rows(
        services,
        "INSERT INTO signals (signal_id, schema_version, signal_type, event, source, payload, urgency, confidence,"
        " fired_at, received_at, delivery_id, correlation_id, priority, state, disposition, expires_at)"
        " SELECT gen_random_uuid(), 1, 'crm_event', 'deal.updated', 'fake', '{}', 'low', 1, at, at, gen_random_uuid(),"
        " gen_random_uuid(), 'low', 'done', 'nothing_due', at FROM (SELECT now() - n * interval '1 minute' AS at"
        " FROM generate_series(1, 50000) AS n) AS times",
    )
    rows(services, "ANALYZE signals")
    values = {**in_flight._values(services.clock.now(), False)}
    for question in (
        f"{in_flight._JUDGED} SELECT count(*) FROM judged",
        "SELECT signal_id FROM signals WHERE queue IS NOT NULL AND queue <> ALL(:queues) AND sent_at IS NULL",
    ):
        plan = rows(services, f"EXPLAIN (ANALYZE, BUFFERS) {question}", **values)
        told = "\n".join(row["QUERY PLAN"] for row in plan)
        assert "Seq Scan on signals" not in told, told
        assert any(f"ix_signals_{name}" in told for name in ("open", "due", "turn")), told
        scanned = [line for line in told.splitlines() if "Rows Removed by Filter" in line]
        assert all(int(line.split(":")[1]) < 100 for line in scanned), told
    rows(
        services,
        "INSERT INTO counters SELECT now() - n * interval '1 hour', 'balance:open', 0 FROM"
        " generate_series(1, 20000) AS n",
    )
    rows(services, "ANALYZE counters")
    plan = rows(services, "EXPLAIN SELECT hour, count FROM counters WHERE name = 'balance:open' AND count <> 0")
    assert "ix_counters_open" in plan[0]["QUERY PLAN"] + plan[-1]["QUERY PLAN"], plan


def test_the_keeper_balances_in_its_round(services: Services) -> None:
    put(services, call("a"))
    Keeper(services).round()
    with transaction(services.engine) as tx:
        stored = balance.last(tx)
    assert stored is not None
    assert (stored["accepted"], stored["open"]["on_its_way"], stored["difference"]) == (1, 1, 0)
    assert rows(services, "SELECT * FROM tallies") == []


def shown(services: Services, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """What `revpipe balance` prints for this ledger."""
    monkeypatch.setenv("DATABASE_URL", str(services.settings.database_url))
    monkeypatch.setenv("REDIS_URL", str(services.settings.redis_url))
    return CliRunner().invoke(cli, ["balance", *words])


def test_the_command_tells_that_it_adds_up(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    put(services, call("a"), call("b", suppressed="own_write"))
    Keeper(services).round()
    result = shown(services, monkeypatch)
    assert result.exit_code == 0
    assert "It adds up" in result.output
    since_the_start = next(line.split() for line in result.output.splitlines() if line.startswith("since the start"))
    assert since_the_start[3:] == ["2", "0", "0", "0", "0", "1", "0", "0", "1", "0"]
    told = json.loads(shown(services, monkeypatch, "--json").output)
    assert (told["holds"], told["accepted"], told["difference"]) == (True, 2, 0)
    assert [(hour["accepted"], hour["suppressed"], hour["open"]) for hour in told["hours"]] == [(2, 1, 1)]


def test_the_command_names_what_is_lost_and_what_is_stuck_and_fails(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(services, call("lost"), call("stuck"))
    rows(services, "DELETE FROM signals WHERE signal_id = :id", id=signal_id("lost"))
    by_hand(services, "stuck", "queue = NULL")
    result = shown(services, monkeypatch)
    assert result.exit_code == 1
    for words in (str(signal_id("lost")), str(signal_id("stuck")), "1 missing", "no queue", "revpipe keeper"):
        assert words in result.output, words
    told = shown(services, monkeypatch, "--json")
    assert (told.exit_code, json.loads(told.output)["holds"]) == (1, False)


def test_metrics_are_counts_of_the_last_balance_without_a_word_of_a_customer(services: Services) -> None:
    client = create_app(services).test_client()
    assert client.get("/metrics").status_code == 200
    put(services, call("a", "secret-deal"), call("b", suppressed="own_write"))
    rows(services, "UPDATE signals SET sent_at = NULL WHERE queue IS NOT NULL")
    put(services, {"bad": "not_an_event"})
    rows(services, "DELETE FROM tallies WHERE name = 'suppressed'")
    Keeper(services).round()
    answer = client.get("/metrics")
    lines = answer.text.splitlines()
    assert answer.status_code == 200
    for line in (
        "revpipe_signals_accepted_total 2.0",
        'revpipe_signals_total{disposition="suppressed"} 0.0',
        'revpipe_signals_open{class="on_its_way"} 1.0',
        "revpipe_balance_difference 1.0",
        "revpipe_dead_letters_open 1.0",
        'revpipe_queue_due{queue="enrich.standard"} 1.0',
        "revpipe_keeper_round_age_seconds 0.0",
    ):
        assert line in lines, answer.text
    assert "secret" not in answer.text


def test_metrics_without_a_database_are_503(services: Services) -> None:
    gone = make_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    answer = create_app(replace(services, engine=gone)).test_client().get("/metrics")
    assert (answer.status_code, "database" in answer.text) == (503, True)
