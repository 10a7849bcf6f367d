"""What the product asks of a large ledger, explained: nothing reads a large table whole, or months that are over.

The statements are those that the product runs, caught on their way, so a new one needs no line here. A new command or
page does: a test fails until it is asked for below, or named as one that asks nothing.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from revpipe import approvals, sweep
from revpipe.bootstrap import load_retention
from revpipe.cli import COMMANDS, cli
from revpipe.keeper import Keeper
from revpipe.prune import anything
from revpipe.services import Services
from revpipe.web.app import create_app
from tests.broker_control import BrokerControl
from tests.integration.explained import Explainer
from tests.integration.filled_fixtures import Filled, busy, filled
from tests.integration.ledger_fixtures import MovableClock, call, one, put, rows, run_act, run_stage, run_to

__all__ = ["busy", "filled"]

SIGNALLED = "(SELECT signal_id FROM signals WHERE deal_id IS NOT NULL AND disposition = '{}' LIMIT 1)"
ASKS_NOTHING = {
    *("up", "demo", "drill", "migrate", "web", "worker", "keeper", "beat", "flower", "rules", "generate"),
    "import",
}
"""Commands that start or add something, or that never look into the ledger's large tables."""
FILTERED = ("replays, first_at, last_at, state, closed_at, closed_by, closed_why FROM dead_letters",)
BY_ID_ONLY = ("FROM trail WHERE correlation_id =",)


@pytest.fixture
def explainer(filled: Filled) -> Explainer:
    return Explainer(filled.past, BY_ID_ONLY, FILTERED)


def judge(explainer: Explainer, *files: str) -> None:
    """All plans are good, and statements of these files were among them."""
    assert not explainer.faults, "\n".join(explainer.faults)
    known = {where.split(":")[0] for where in explainer.seen}
    assert {f"revpipe/{name}.py" for name in files} <= known, known


def test_a_bad_plan_is_noticed(busy: Services, explainer: Explainer) -> None:
    with busy.engine.begin() as tx:
        raw = tx.connection.driver_connection
        for statement in (
            "SELECT count(*) FROM signals WHERE reason = %(word)s",
            "SELECT * FROM approvals WHERE decided_by = %(word)s",
            "SELECT * FROM dead_letters WHERE detail ->> 'x' = %(word)s ORDER BY letter_id",
            "SELECT * FROM trail WHERE signal_id = gen_random_uuid() AND what = %(word)s",
        ):
            explainer.judge(raw, statement, {"word": "x"}, "here")
    told = "\n".join(explainer.faults)
    for fault in ("reads all of signals", "has no index for approvals", "dead_letters", "looks into trail_"):
        assert fault in told, told


def test_signals_through_all_stages(busy: Services, explainer: Explainer) -> None:
    with explainer.watching():
        put(busy, *(call(f"a{at}", f"d{at}") for at in range(3)), call("twice"), {"bad": "no_event"})
        put(busy, call("twice"), call("own", suppressed="own_write"))
        put(busy, {"id": "asks", "event": "deal.stage_changed", "deal": "d9", "urgency": "immediate"})
        run_to(busy, "execute")
        run_act(busy)
    judge(explainer, "enrich", "decide", "execute", "work", "plan_history", "outcomes", "cached_parts")


def test_the_keeper(busy: Services, explainer: Explainer, broker: BrokerControl, clock: MovableClock) -> None:
    put(busy, *(call(f"k{at}", f"k{at}", urgency="high") for at in range(12)))
    run_stage(busy, "enrich")
    rows(
        busy,
        "UPDATE signals SET claim_id = signal_id, lease_until = now() - interval '1 hour', sent_at = now() - interval"
        " '1 hour' WHERE signal_id IN (SELECT signal_id FROM signals WHERE queue = 'decide.high' LIMIT 4)",
    )
    clock.move(seconds=60)
    with explainer.watching():
        assert Keeper(busy).round()
        broker.flush()
        clock.move(seconds=60)
        assert Keeper(busy).round()
        clock.move(minutes=100)
        assert approvals.expire_due(busy) > 0
        sweep.sweep(busy)
        anything(busy.engine, load_retention(), clock.now())
    judge(
        explainer, "keeper", "sweep", "parked", "approvals", "balance", "in_flight", "tallies", "quarantine", "strays"
    )


def words(busy: Services) -> list[list[str]]:
    """Each command that asks the ledger, with what people ask for."""

    def found(sql: str) -> str:
        return str(next(iter(one(busy, sql).values())))

    acted = found(f"SELECT signal_id FROM signals WHERE signal_id = {SIGNALLED.format('acted')}")
    of_it = f"FROM signals WHERE signal_id = '{acted}'"
    deal = found(f"SELECT deal_id {of_it}")
    letters = "SELECT letter_id FROM dead_letters WHERE state = 'open' AND stage {} 'ingest' LIMIT 1"
    letter, other = found(letters.format("=")), found(letters.format("<>"))
    waits = rows(busy, "SELECT action_id FROM approvals WHERE state = 'open' ORDER BY expires_at DESC LIMIT 2")
    unknown = found("SELECT action_id FROM actions WHERE state = 'unknown' LIMIT 1")
    lines = [
        "signals",
        f"signals --deal {deal}",
        "queues",
        "approvals list",
        f"approvals approve {waits[0]['action_id']}",
        f"approvals reject {waits[1]['action_id']}",
        "actions unknown",
        f"actions settle {unknown} --happened",
        "deadletters list",
        "deadletters list --state all --reason missing_field --stage ingest --source hubspot --since 9d",
        f"deadletters list --signal {acted}",
        f"deadletters show {letter}",
        f"deadletters replay {letter}",
        "deadletters replay --reason permanent --limit 3 --yes",
        f"deadletters discard {other} --why nobody",
        f"replay signal {acted} --yes",
        "replay period --since 2h --until 1h --dry-run",
        "audit",
        "balance",
        "prune --dry-run",
        f"trace {deal}",
        f"trace {acted}",
        f"trace {found(f'SELECT correlation_id {of_it}')}",
        f"trace {found(f'SELECT delivery_id {of_it}')}",
        f"trace {letter}",
        f"trace {unknown}",
        f"trace {uuid.uuid4()}",
    ]
    return [line.split() for line in lines]


def asked(lines: Sequence[Sequence[str]]) -> set[str]:
    return {line[0] for line in lines}


def test_the_commands(busy: Services, explainer: Explainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("database_url", "redis_url", "broker_url"):
        monkeypatch.setenv(name.upper(), getattr(busy.settings, name))
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(tmp_path))
    lines = words(busy)
    assert asked(lines) | ASKS_NOTHING == set(COMMANDS)
    assert not asked(lines) & ASKS_NOTHING
    assert _missing(lines) == []
    with explainer.watching():
        for line in lines:
            result = CliRunner().invoke(cli, line)
            # Codes from 1 on tell of something that could not be done; anything else raised is a fault.
            assert result.exception is None or isinstance(result.exception, SystemExit), (line, result.output)
    judge(explainer, "queries", "dead_letters", "forecasts", "unknowns", "audit", "prune_rows", "rereading")


def _missing(lines: Sequence[Sequence[str]]) -> list[str]:
    """Subcommands that no line asks."""
    context = click.Context(cli)
    missing = []
    for name in asked(lines):
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            missing += [f"{name} {sub}" for sub in command.commands if not any(one[:2] == [name, sub] for one in lines)]
    return missing


def pages(app: Flask) -> list[str]:
    """Every page that takes no arguments."""
    return [rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]


def test_the_pages(busy: Services, explainer: Explainer) -> None:
    Keeper(busy).round()
    app = create_app(busy)
    assert {"/", "/metrics", "/readyz"} <= set(pages(app))
    with explainer.watching():
        for page in pages(app):
            answer = app.test_client().get(page)
            assert answer.status_code < 500, (page, answer.text)
    judge(explainer, "queries", "balance", "leases")
