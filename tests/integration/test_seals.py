"""The chain of seals: what is final gets in, whatever is bent afterwards is named, and nobody waits for the sealer."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.exc import ProgrammingError

from revpipe import approvals, audit, prune, replays
from revpipe.actors import Actor
from revpipe.cli import cli
from revpipe.db import make_engine, transaction
from revpipe.embedded.client import Lease
from revpipe.replays import Word
from revpipe.seals import ledger_source, sealer
from revpipe.seals.verify import Report, verify
from revpipe.services import Services
from tasks import maintenance
from tests.integration.conftest import execute_sql, url_of
from tests.integration.ledger_fixtures import MovableClock, call, one, put, rows, run_act, run_to, signal_id
from tests.integration.shared_ledger import SharedLedger
from tests.integration.test_prune import KEEP

VERA = Actor("vera@desk", "cli")
PAST_TRIGGERS = "SET session_replication_role = replica"


def check(services: Services, anchor: str | None = None) -> Report:
    with ledger_source.snapshot(services.engine) as source:
        return verify(source, anchor)


def found(services: Services, anchor: str | None = None) -> Counter[str]:
    """What a walk finds, each kind of finding with how often."""
    return Counter(one.what for one in check(services, anchor).findings)


def bend(services: Services, *statements: str) -> None:
    """Change the ledger as somebody does who has every right on the database."""
    execute_sql(str(services.settings.database_url), PAST_TRIGGERS, *statements)


def stage_change(name: str) -> dict[str, Any]:
    return call(name, f"d-{name}", event="deal.stage_changed", payload={})


@pytest.fixture
def sealed(services: Services) -> Services:
    """Two signals decided by rules, two approvals decided and one open, one command; all of it in three seals."""
    put(services, call("a", "d1"), call("b", "d2"))
    run_to(services, "execute")
    run_act(services)
    sealer.run(services)
    put(services, stage_change("c"), stage_change("d"))
    run_to(services, "execute")
    sealer.run(services)
    waiting = rows(services, "SELECT action_id FROM approvals ORDER BY action_id")
    approvals.reject(services, waiting[0]["action_id"], VERA, "not now")
    approvals.approve(services, waiting[1]["action_id"], VERA)
    with audit.told(services.engine, services.clock.now(), "vera@desk", "test", {"n": 1}) as outcome:
        outcome["done"] = 1
    sealer.run(services)
    return services


def test_what_is_final_is_sealed_and_nothing_else(sealed: Services) -> None:
    report = check(sealed)
    assert (report.found, report.waiting, report.seals) == (0, 0, 3), report.findings
    assert report.records == {
        "plan": 4, "action": 8, "approval_requested": 4, "approval_decided": 2, "audit": 1, "audit_outcome": 1,
    }  # fmt: skip
    assert found(sealed, report.head) == {}


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE plans SET why = jsonb_set(why, '{rules,0,rule}', '\"other\"') WHERE signal_id = '{a}'", "plan"),
        ("UPDATE plans SET decided_by = 'llm' WHERE signal_id = '{a}'", "plan"),
        ("UPDATE approvals SET decided_by = 'robin@desk' WHERE state = 'rejected'", "approval_decided"),
        ("UPDATE approvals SET reason = NULL WHERE state = 'rejected'", "approval_decided"),
        ("UPDATE approvals SET requested_at = requested_at - interval '1 day' WHERE state = 'open'"
         " AND approval_id = (SELECT min(approval_id::text)::uuid FROM approvals WHERE state = 'open')",
         "approval_requested"),
        ("UPDATE approvals SET needed = needed + 1 WHERE state = 'approved'", "approval_requested"),
        ("UPDATE actions SET params = params || '{\"x\": 1}' WHERE action_id ="
         " (SELECT action_id FROM approvals WHERE state = 'approved')", "action"),
        ("UPDATE operator_audit SET actor = 'robin@desk'", "audit"),
        ("UPDATE operator_audit SET detail = jsonb_set(detail, '{n}', '2')", "audit"),
        ("UPDATE operator_audit SET detail = jsonb_set(detail, '{outcome,done}', '2')", "audit_outcome"),
    ],
)  # fmt: skip
def test_an_altered_row_is_named(sealed: Services, statement: str, kind: str) -> None:
    bend(sealed, statement.replace("{a}", str(signal_id("a"))))
    (finding,) = check(sealed).findings
    assert (finding.what, finding.kind) == ("altered", kind)
    assert finding.key
    assert finding.key.partition("@")[0] in finding.text


def test_what_a_trigger_sees_is_found_as_well(sealed: Services) -> None:
    rows(sealed, "UPDATE plans SET decided_by = 'llm' WHERE signal_id = :id", id=signal_id("a"))
    rows(sealed, "UPDATE plans SET created_at = created_at - interval '1 s' WHERE signal_id = :id", id=signal_id("b"))
    sealer.run(sealed)
    assert found(sealed) == {"altered": 1, "missing": 1}


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("DELETE FROM plans WHERE signal_id = '{a}'", "plan"),
        ("DELETE FROM operator_audit", "audit"),
        ("DELETE FROM approvals WHERE state = 'rejected'", "approval_decided"),
        ("UPDATE operator_audit SET detail = detail - 'outcome'", "audit_outcome"),
    ],
)
def test_a_removed_row_is_named(sealed: Services, statement: str, kind: str) -> None:
    bend(sealed, statement.replace("{a}", str(signal_id("a"))))
    findings = check(sealed).findings
    assert {one.what for one in findings} == {"missing"}
    assert kind in {one.kind for one in findings}


def test_a_row_put_in_past_the_triggers_is_named(sealed: Services) -> None:
    key = "00000000-0000-7000-8000-000000000001"
    bend(sealed, f"INSERT INTO operator_audit VALUES ('{key}', now(), 'robin@desk', 'test', '{{}}')")
    (finding,) = check(sealed).findings
    assert (finding.what, finding.kind, finding.key) == ("added", "audit", key)
    sealer.run(sealed)
    assert found(sealed) == {"added": 1}


def test_a_row_put_in_with_an_old_date_is_named(sealed: Services) -> None:
    rows(
        sealed,
        "INSERT INTO operator_audit VALUES (gen_random_uuid(), now() - interval '2 hours', 'robin', 'test', '{}')",
    )
    assert found(sealed) == {}
    sealer.run(sealed)
    assert found(sealed) == {"backdated": 1}


def test_seals_can_only_be_added(sealed: Services) -> None:
    for statement in ("UPDATE seals SET count = 1", "DELETE FROM seals", "TRUNCATE seals"):
        with pytest.raises(ProgrammingError, match="append-only"):
            rows(sealed, statement)


def test_a_chain_that_was_broken_is_told(sealed: Services) -> None:
    bend(sealed, "UPDATE seals SET made_at = made_at - interval '1 day' WHERE number = 2")
    (finding,) = check(sealed).findings
    assert (finding.what, finding.seal) == ("broken", 2)
    bend(sealed, "DELETE FROM seals WHERE number = 2")
    told = check(sealed)
    assert "seal 3: seal 2 is not there" in {one.text for one in told.findings}
    # What it held is in no seal any more.
    assert {one.what for one in told.findings} == {"broken", "added"}


def test_an_end_that_was_cut_off_is_told_by_the_anchor(sealed: Services) -> None:
    anchor = check(sealed).head
    bend(
        sealed,
        "DELETE FROM seals WHERE number = 3",
        "DELETE FROM operator_audit",
        "UPDATE approvals SET state = 'open'",
    )
    assert found(sealed) == {}
    assert found(sealed, anchor) == {"cut_off": 1}
    assert anchor
    assert found(sealed, anchor.partition(":")[2]) == {"cut_off": 1}
    assert found(sealed, check(sealed).head) == {}


def test_a_chain_made_anew_is_told_by_the_anchor(sealed: Services) -> None:
    anchor = check(sealed).head
    bend(
        sealed,
        "INSERT INTO unsealed (kind, key) SELECT (line::jsonb) ->> 0, (line::jsonb) ->> 1"
        " FROM seals, regexp_split_to_table(rtrim(entries, chr(10)), chr(10)) AS line ORDER BY number",
        "DELETE FROM seals",
        "UPDATE operator_audit SET actor = 'robin@desk'",
    )
    sealer.run(sealed)
    assert found(sealed) == {}
    assert found(sealed, anchor) == {"cut_off": 1}


def test_one_altered_row_in_a_copy_of_the_ledger(sealed: Services, database_copy: Callable[[], str]) -> None:
    url = database_copy()
    execute_sql(
        url, PAST_TRIGGERS, f"UPDATE plans SET conclusive = NOT conclusive WHERE signal_id = '{signal_id('b')}'"
    )
    engine = make_engine(url)
    with ledger_source.snapshot(engine) as source:
        (finding,) = verify(source).findings
    engine.dispose()
    assert (finding.what, finding.kind) == ("altered", "plan")
    assert found(sealed) == {}


@pytest.fixture
def database_copy(services: Services, shared_ledger: SharedLedger, pair: Lease) -> Iterator[Callable[[], str]]:
    """Copies the test's ledger into a database of its own and gives its URL."""
    source = str(services.settings.database_url).rpartition("/")[2].partition("?")[0]

    def copy() -> str:
        services.engine.dispose()
        shared_ledger.disconnect()
        execute_sql(pair.database_url, f"CREATE DATABASE bent TEMPLATE {source}")
        return url_of(pair, "bent")

    yield copy
    execute_sql(pair.database_url, "DROP DATABASE IF EXISTS bent WITH (FORCE)")


def test_what_commits_late_is_not_passed_over(services: Services, clock: MovableClock) -> None:
    now = clock.now()
    late, in_time = services.engine.connect(), services.engine
    begun = late.begin()
    audit.write(late, now, "early@desk", "test", {})
    with transaction(in_time) as tx:
        audit.write(tx, now + timedelta(seconds=1), "late@desk", "test", {})
    assert sealer.run(services) == 1
    assert (found(services), check(services).records["audit"]) == ({}, 1)
    begun.commit()
    late.close()
    assert (found(services), check(services).waiting) == ({}, 1)
    assert sealer.run(services) == 1
    report = check(services)
    assert (report.found, report.waiting, report.records["audit"]) == (0, 0, 2)


def test_nobody_waits_for_the_sealer(services: Services) -> None:
    put(services, stage_change("a"))
    run_to(services, "execute")
    with transaction(services.engine) as tx:
        assert sealer.batch(tx, services) > 0
        # Were any of these rows held, this would wait for the transaction that is open here, and so for ever.
        for row in rows(services, "SELECT action_id FROM approvals"):
            approvals.reject(services, row["action_id"], VERA, None)
        put(services, call("b", "d2"))
        run_to(services, "execute")
        # A second sealer does nothing meanwhile.
        assert sealer.run(services) == 0
    assert sealer.run(services) > 0
    report = check(services)
    assert (report.found, report.waiting, report.seals) == (0, 0, 2)


def test_a_batch_that_fails_leaves_all_as_it_was(sealed: Services) -> None:
    put(sealed, call("z", "d9"))
    run_to(sealed, "decide")
    with sealed.engine.connect() as connection, connection.begin() as begun:
        assert sealer.batch(connection, sealed) == 3
        begun.rollback()
    assert check(sealed).waiting == 3
    assert sealer.run(sealed) == 3
    assert found(sealed) == {}


def test_a_former_plan_stays_what_it_was(sealed: Services, clock: MovableClock) -> None:
    clock.move(minutes=5)
    replays.signals(sealed, [signal_id("a")], Word("vera@desk", "test"), "decide")
    run_to(sealed, "execute")
    sealer.run(sealed)
    report = check(sealed)
    assert (report.found, report.records["plan"]) == (0, 5), report.findings
    bend(sealed, "UPDATE superseded SET record = jsonb_set(record, '{decided_by}', '\"llm\"') WHERE kind = 'plan'")
    (finding,) = check(sealed).findings
    assert (finding.what, finding.kind) == ("altered", "plan")


def test_retention_is_no_finding_and_what_else_is_gone_is(sealed: Services, clock: MovableClock) -> None:
    for row in rows(sealed, "SELECT action_id FROM approvals WHERE state = 'open'"):
        approvals.reject(sealed, row["action_id"], VERA, None)
    rows(sealed, "UPDATE actions SET state = 'done', maybe_done = false WHERE state NOT IN ('done', 'rejected')")
    rows(sealed, "UPDATE signals SET state = 'done', disposition = 'acted', done_at = now() WHERE state <> 'done'")
    sealer.run(sealed)
    clock.move(days=150)
    put(sealed, call("young", "d7"))
    run_to(sealed, "execute")
    run_act(sealed)
    done = prune.run(sealed.engine, KEEP, clock.now(), "tests")
    assert done.rows["signals"] == 4
    sealer.run(sealed)
    report = check(sealed)
    assert report.found == 0, report.findings
    assert report.pruned == {"plan": 4, "action": 8, "approval_requested": 4, "approval_decided": 4}
    bend(sealed, "DELETE FROM plans", "DELETE FROM operator_audit WHERE command = 'prune'")
    report = check(sealed)
    # Without the run that let them go, nothing accounts for any of them.
    assert report.pruned == {}
    assert {one.what for one in report.findings} == {"missing"}


def test_months_are_accounted_for(database_url: str, clock: MovableClock, services: Services) -> None:
    engine = make_engine(database_url)
    here = replace(services, engine=engine)
    months = {row["key"] for row in rows(here, "SELECT key FROM unsealed WHERE kind = 'month'")}
    assert any(name.startswith("trail_") for name in months)
    assert any(name.startswith("deliveries_") for name in months)
    sealer.run(here)
    assert check(here).began is not None
    prune.run(engine, KEEP, clock.now() + timedelta(days=150), "tests")
    sealer.run(here)
    report = check(here)
    assert report.found == 0, report.findings
    assert report.months
    assert set(report.months) <= months
    assert {
        row["detail"]["month"] for row in rows(here, "SELECT detail FROM operator_audit WHERE command <> 'prune'")
    } == set(report.months)
    stays = next(iter(sorted(months - set(report.months), reverse=True)))
    execute_sql(database_url, f"DROP TABLE {stays}")
    (finding,) = check(here).findings
    assert (finding.what, finding.kind, finding.key) == ("missing", "month", stays)
    engine.dispose()


@pytest.fixture
def ask(sealed: Services, pair: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("DATABASE_URL", str(sealed.settings.database_url))
    monkeypatch.setenv("REDIS_URL", pair.redis_url)
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(tmp_path))
    return lambda *words: CliRunner().invoke(cli, ["audit", *(str(word) for word in words)])


def test_the_commands(ask: Callable[..., Result], sealed: Services) -> None:
    told = ask("verify")
    assert told.exit_code == 0, told.output
    anchor = told.output.split("anchor ")[1].strip()
    assert "3 seals over" in told.output
    assert json.loads(ask("verify", "--json").output)["head"] == anchor
    assert "test" in ask().output
    with audit.told(sealed.engine, sealed.clock.now(), "vera@desk", "more", {}):
        assert "1 records wait" in ask("verify").output
    assert json.loads(ask("seal", "--json").output) == {"sealed": 2, "waiting": 0}
    bend(sealed, "UPDATE operator_audit SET actor = 'robin@desk' WHERE command = 'test'")
    bent = ask("verify", "--anchor", anchor)
    assert bent.exit_code == 1
    assert "altered  audit" in bent.output
    assert json.loads(ask("verify", "--json").stdout)["findings"][0]["what"] == "altered"


def test_an_export_is_verified_without_a_ledger(ask: Callable[..., Result], sealed: Services, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    assert ask("export", "--out", path).exit_code == 0
    # But for the time in its head.
    assert ask("export").output.splitlines()[1:] == path.read_text().splitlines()[1:]
    bend(sealed, "DELETE FROM seals", "DELETE FROM plans")
    assert ask("verify", "--file", path).exit_code == 0
    lines = path.read_text().splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if '"kind":"plan"' in line)
    for bent, what in (
        ([line.replace('"decided_by":"rules"', '"decided_by":"llm"') for line in lines], "altered"),
        ([line for at, line in enumerate(lines) if at != place], "missing"),
        ([*lines[: place + 1], lines[place].replace('"key":"', '"key":"0'), *lines[place + 1 :]], "added"),
        ([line for line in lines if '"number":2' not in line], "broken"),
        (lines[:-1], "cut_off"),
    ):
        path.write_text("".join(bent))
        told = ask("verify", "--file", path, "--json")
        assert told.exit_code == 1, what
        assert what in {one["what"] for one in json.loads(told.stdout)["findings"]}
    path.write_text("{}\n")
    assert ask("verify", "--file", path).exit_code != 0


def test_a_slip_of_the_pen_is_no_finding_and_no_traceback(ask: Callable[..., Result], tmp_path: Path) -> None:
    for anchor in ("nonsense", "3:", "3:" + "a" * 63, "x:" + "a" * 64, "3:" + "A" * 64):
        refused = ask("verify", "--anchor", anchor)
        assert refused.exit_code == 2, anchor
        assert "NUMBER:HASH" in refused.output
    nowhere = ask("export", "--out", tmp_path / "not-there" / "audit.jsonl")
    assert nowhere.exit_code == 1
    assert "can't be written" in nowhere.output


def test_the_timetable_seals(services: Services) -> None:
    with transaction(services.engine) as tx:
        audit.write(tx, services.clock.now(), "vera@desk", "test", {})
    task = maintenance.seal
    task.app.services = services
    task.run()
    assert one(services, "SELECT count(*) AS n FROM seals")["n"] == 1
    assert rows(services, "SELECT 1 FROM unsealed") == []


def test_what_is_older_than_the_chain_is_counted(services: Services) -> None:
    bend(
        services,
        "INSERT INTO operator_audit VALUES (gen_random_uuid(), now() - interval '2 days', 'robin', 'test', '{}')",
    )
    assert found(services) == {"added": 1}
    rows(services, "INSERT INTO unsealed (kind, key) SELECT 'began', extract(epoch FROM now())::bigint * 1000000")
    sealer.run(services)
    report = check(services)
    assert (report.found, report.older) == (0, 1)
