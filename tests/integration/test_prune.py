"""Pruning: what is over and old goes, in months and in batches; what is not over stays however old it is."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from revpipe import balance, dead_letters, prune, prune_partitions, prune_rows, replays, retention
from revpipe.cli import cli
from revpipe.db import make_engine, transaction
from revpipe.generating import fill
from revpipe.prune import IN_USE, STILL_TOLD
from revpipe.replays import Word
from revpipe.services import Services
from tasks import maintenance
from tests.integration.ledger_fixtures import FakeSource, MovableClock, call, one, put, rows, run_act, run_to

KEEP = retention.load(
    "retention:\n  deliveries: 90d\n  signals: 100d\n  trail: 120d\n  dead_letters: 100d\n  counters: 110d\n"
)
SIGNALS = 1_000
OPEN = 40


@pytest.fixture
def old(database_url: str) -> Iterator[tuple[Any, datetime]]:
    """An engine over a ledger of its own with signals of two months, and a time five months later."""
    engine = make_engine(database_url)
    then = datetime.now(UTC)
    fill.fill(engine, fill.Wish(SIGNALS, then, OPEN, days=60, batch=500))
    yield engine, then + timedelta(days=150)
    engine.dispose()


def ask(engine: Any, sql: str) -> list[Any]:
    with transaction(engine) as tx:
        return list(tx.execute(text(sql)).all())


def count(engine: Any, table: str) -> int:
    return int(ask(engine, f"SELECT count(*) FROM {table}")[0][0])


def test_only_what_is_over_goes(old: tuple[Any, datetime]) -> None:
    engine, now = old
    stays = {row[0] for row in ask(engine, "SELECT signal_id FROM signals WHERE state <> 'done'")}
    letters = "SELECT signal_id FROM dead_letters WHERE state = 'open' AND signal_id IS NOT NULL"
    stays |= {row[0] for row in ask(engine, letters)}
    open_letters = count(engine, "dead_letters WHERE state = 'open'")
    open_approvals = count(engine, "approvals WHERE state = 'open'")
    assert len(stays) > OPEN
    assert open_approvals
    done = prune.run(engine, KEEP, now, "tests")
    assert done.rows["signals"] == SIGNALS - len(stays)
    assert {row[0] for row in ask(engine, "SELECT signal_id FROM signals")} == stays
    for table in ("contexts", "plans", "actions"):
        assert ask(engine, f"SELECT 1 FROM {table} WHERE signal_id NOT IN (SELECT signal_id FROM signals)") == []
    assert count(engine, "dead_letters") == open_letters
    assert count(engine, "approvals WHERE state = 'open'") == open_approvals
    assert count(engine, "actions WHERE state = 'unknown'") > 0
    assert count(engine, "deliveries") == 0
    assert balance.compute(engine, now - timedelta(days=150), None).off == ()
    again = prune.run(engine, KEEP, now, "tests")
    assert again.months == []
    assert not any(again.rows.values())


def test_a_month_of_the_trail_stays_while_a_signal_of_it_is_there(old: tuple[Any, datetime]) -> None:
    engine, now = old
    assert prune.run(engine, KEEP, now, "tests").kept != {}
    trail = ask(engine, "SELECT DISTINCT to_char(at AT TIME ZONE 'UTC', 'YYYY_MM') FROM trail")
    with transaction(engine) as tx:
        tx.execute(text("UPDATE dead_letters SET state = 'discarded', closed_at = last_at"))
        tx.execute(text("DELETE FROM approvals"))
        tx.execute(text("DELETE FROM actions"))
        tx.execute(
            text("UPDATE signals SET state = 'done', disposition = 'acted', queue = NULL, done_at = received_at")
        )
    done = prune.run(engine, KEEP, now, "tests")
    assert done.kept == {}
    assert {f"trail_{month}" for (month,) in trail} <= set(done.months)
    assert count(engine, "trail") == 0


def test_what_is_young_stays(old: tuple[Any, datetime]) -> None:
    engine, now = old
    early = now - timedelta(days=75)
    assert prune.anything(engine, KEEP, now)
    before = {table: count(engine, table) for table in ("signals", "trail", "deliveries")}
    found = prune.look(engine, KEEP, early)
    assert 0 < found.rows["signals"] < SIGNALS
    assert {table: count(engine, table) for table in before} == before
    done = prune.run(engine, KEEP, early, "tests", most=100)
    assert done.rows["signals"] == 100
    assert prune.run(engine, KEEP, early, "tests").rows["signals"] == found.rows["signals"] - 100
    limit = early - timedelta(days=100)
    left = ask(engine, "SELECT min(received_at) FROM signals WHERE state = 'done' AND disposition <> 'dead_lettered'")
    assert left[0][0] >= limit
    assert not prune.anything(engine, retention.load(_forever()), now)


def _forever() -> str:
    return "retention:\n" + "".join(f"  {kind}: forever\n" for kind in retention.KINDS)


def test_a_month_that_is_in_use_is_left_to_the_next_run(
    old: tuple[Any, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, now = old
    monkeypatch.setattr(prune_partitions, "PAUSES", (0.0,))
    with transaction(engine) as tx:
        (first, *_) = prune_partitions.over(tx, "deliveries", now - timedelta(days=90))
    with engine.begin() as reader:
        reader.execute(text(f"SELECT 1 FROM {first.name} LIMIT 1"))
        done = prune.run(engine, KEEP, now, "tests")
    assert done.kept[first.name] == IN_USE
    assert STILL_TOLD in done.kept.values()
    assert first.name in prune.run(engine, KEEP, now, "tests").months


def test_a_signal_that_somebody_holds_is_passed_over(services: Services, clock: MovableClock) -> None:
    put(services, *(call(name, deal=name) for name in "abc"))
    run_to(services, "execute")
    run_act(services)
    limit = clock.move(days=1)
    held = threading.Event()
    let_go = threading.Event()

    def hold() -> None:
        with transaction(services.engine) as tx:
            tx.execute(text("SELECT 1 FROM signals WHERE deal_id = 'b' FOR UPDATE"))
            held.set()
            let_go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    try:
        assert prune_rows.signals(services.engine, limit) == 2
    finally:
        let_go.set()
        holder.join()
    assert [row["deal_id"] for row in rows(services, "SELECT deal_id FROM signals")] == ["b"]
    assert prune_rows.signals(services.engine, limit) == 1
    assert rows(services, "SELECT 1 FROM actions UNION ALL SELECT 1 FROM plans") == []


def test_a_replay_says_that_the_delivery_is_gone(services: Services, clock: MovableClock) -> None:
    services = replace(services, sources={"fake": FakeSource()})
    put(services, {"bad": "no_event"})
    with transaction(services.engine) as tx:
        (letter,) = dead_letters.listing(tx)
    word = Word("tests", "deadletters replay", 10.0)
    before = replays.letters(services, [letter["letter_id"]], word).results[0]
    assert (before.outcome, before.reason) == ("still_bad", "no_event")
    rows(services, "DELETE FROM deliveries")
    after = replays.letters(services, [letter["letter_id"]], word).results[0]
    assert after.outcome == "still_bad"
    assert "the delivery that brought it is gone (revpipe prune)" in str(after.reason)
    with transaction(services.engine) as tx:
        (letter,) = dead_letters.listing(tx)
    assert (letter["reason"], letter["state"]) == ("no_event", "open")
    assert "is gone" in letter["error"]


def test_the_command_shows_first_and_is_audited(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    put(services, call("old", suppressed="own_write"), call("new", suppressed="own_write"))
    rows(
        services,
        "UPDATE signals SET received_at = now() - interval '2 years', done_at = now() - interval '2 years'"
        " WHERE signal_id = (SELECT min(signal_id::text)::uuid FROM signals)",
    )
    monkeypatch.setenv("DATABASE_URL", str(services.settings.database_url))
    monkeypatch.setenv("REDIS_URL", str(services.settings.redis_url))
    told = json.loads(CliRunner().invoke(cli, ["prune", "--dry-run", "--json"]).output)
    assert (told["rows"]["signals"], one(services, "SELECT count(*) AS n FROM signals")["n"]) == (1, 2)
    assert rows(services, "SELECT 1 FROM operator_audit") == []
    said = CliRunner().invoke(cli, ["prune", "--actor", "vera"])
    assert said.exit_code == 0, said.output
    assert "1 signals (kept for 400d)" in said.output
    assert one(services, "SELECT count(*) AS n FROM signals")["n"] == 1
    audited = one(services, "SELECT actor, command, detail FROM operator_audit")
    assert (audited["actor"], audited["command"]) == ("vera", "prune")
    assert audited["detail"]["outcome"]["rows"]["signals"] == 1
    assert "nothing to let go" in CliRunner().invoke(cli, ["prune"]).output


def test_the_timetable_writes_nothing_when_nothing_is_over(services: Services, clock: MovableClock) -> None:
    put(services, call("a", suppressed="own_write"))
    task = maintenance.prune_over
    task.app.services = services
    task.run()
    assert rows(services, "SELECT 1 FROM operator_audit") == []
    clock.move(days=500)
    task.run()
    assert rows(services, "SELECT 1 FROM signals") == []
    assert one(services, "SELECT DISTINCT actor FROM operator_audit")["actor"] == "beat"
