"""What the product asks of a large ledger, explained: nothing reads a large table whole, or months that are over.

The statements are those that the product runs, caught on their way, so a new one needs no line here. A new command or
page does: a test fails until it is asked for below, or named as one that asks nothing.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from config.queues import notices
from revpipe import approvals, causes, feed, shadow_report, suppressions, sweep
from revpipe.actors import Actor
from revpipe.bootstrap import load_retention
from revpipe.cli import COMMANDS, cli
from revpipe.db import transaction
from revpipe.keeper import Keeper
from revpipe.messenger import Press
from revpipe.notifying import links, pressing, telling
from revpipe.notifying import run as notifying
from revpipe.prune import anything
from revpipe.services import Services
from revpipe.users import first
from revpipe.web.app import create_app
from revpipe.work import Chunk
from tests.broker_control import BrokerControl
from tests.integration.api_fixtures import ROBIN, Called, Caller, answering, for_api
from tests.integration.explained import Explainer
from tests.integration.filled_fixtures import Filled, busy, filled
from tests.integration.ledger_fixtures import MovableClock, call, one, put, rows, run_act, run_stage, run_to
from tests.integration.messenger_fixtures import Nowhere
from tests.integration.people import ACCOUNT, PASSWORD, SIGN_IN, at_home, post, sign_in, token_of
from tests.integration.people import person as member
from tests.integration.shadow_rules import with_shadow

__all__ = ["busy", "filled"]

SIGNALLED = "(SELECT signal_id FROM signals WHERE deal_id IS NOT NULL AND disposition = '{}' LIMIT 1)"
ASKS_NOTHING = {
    *("up", "demo", "drill", "migrate", "web", "worker", "keeper", "beat", "flower", "generate"),
    "import",
    "capacity",
    "corpus",
}
"""Commands that start or add something, or that never look into the ledger's large tables."""
READS_A_PERIOD = {"rules simulate", "rules diff", "rules share", "rules suggest", "audit verify", "audit export"}
"""Read all signals of a period on purpose, most of a ledger perhaps, from a snapshot of their own."""
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
        rows(busy, "UPDATE actions SET recipient = 'a@example.org' WHERE deal_id = 'd9' AND type = 'draft_followup'")
        with transaction(busy.engine) as tx:
            suppressions.add(tx, "example.org", "competitor", "tests", busy.clock.now())
        for row in rows(busy, "SELECT action_id FROM actions WHERE deal_id = 'd9'"):
            approvals.approve(busy, row["action_id"], Actor("tests", "cli"))
        run_act(busy)
    judge(explainer, "enrich", "decide", "execute", "work", "plan_history", "outcomes", "cached_parts")
    judge(explainer, "recheck", "grounds", "recipients", "suppressions", "approval_changes")


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
        run_act(busy)
        sweep.sweep(busy)
        anything(busy.engine, load_retention(), clock.now())
    judge(
        explainer,
        "keeper",
        "sweep",
        "parked",
        "approvals/expiring",
        "balance",
        "in_flight",
        "tallies",
        "quarantine",
        "strays",
    )


def test_people_who_are_asked(busy: Services, explainer: Explainer, clock: MovableClock) -> None:
    settings = replace(busy.settings, slack_bot_token="t", slack_default_channel="C0DEALS01", smtp_url="smtp://h")
    asking = replace(busy, settings=settings, messengers={"slack": Nowhere()})
    rows(asking, "UPDATE approvals SET told_revision = -1 WHERE state = 'open'")
    open_ones = rows(asking, "SELECT action_id, approval_id FROM approvals WHERE state = 'open' LIMIT 2")
    with explainer.watching():
        telling.tell(asking)
        feed.offer(asking, [notices("slack", "high")])
        waiting = rows(asking, "SELECT request_id, send_no FROM approval_requests WHERE sent_at IS NOT NULL LIMIT 3")
        for row in waiting:
            notifying.run(Chunk((row["request_id"],), row["send_no"]), asking)
        press = Press("approve", b"f", "T1", "U1", open_ones[0]["action_id"], 1, None, "C0DEALS01")
        pressing.take(asking, press)
        links.look(asking, "t")
        Keeper(asking).round()
    judge(explainer, "notifying/telling", "notifying/run", "notifying/records", "notifying/slack_people")
    judge(explainer, "notifying/pressing", "notifying/tokens")


def test_rules_in_shadow_and_their_comparison(busy: Services, explainer: Explainer, clock: MovableClock) -> None:
    trying = replace(busy, rules=with_shadow())
    with explainer.watching():
        put(trying, *(call(f"s{at}", f"s{at % 4}") for at in range(9)))
        run_to(trying, "decide")
        with transaction(trying.engine) as tx:
            (found,) = shadow_report.compare(tx, trying.rules, clock.now() - timedelta(hours=1))
        assert found.fired >= 9
    judge(explainer, "shadows", "shadow_report", "rule_versions")


def test_the_causal_page(busy: Services, explainer: Explainer) -> None:
    acted = one(busy, f"SELECT signal_id FROM signals WHERE signal_id = {SIGNALLED.format('acted')}")["signal_id"]
    with explainer.watching(), transaction(busy.engine) as tx:
        assert causes.of_signal(busy, tx, acted) is not None
    judge(explainer, "causes", "queries")


def words(busy: Services) -> list[list[str]]:
    """Each command that asks the ledger, with what people ask for."""

    def found(sql: str) -> str:
        return str(next(iter(one(busy, sql).values())))

    acted = found(f"SELECT signal_id FROM signals WHERE signal_id = {SIGNALLED.format('acted')}")
    of_it = f"FROM signals WHERE signal_id = '{acted}'"
    deal = found(f"SELECT deal_id {of_it}")
    letters = "SELECT letter_id FROM dead_letters WHERE state = 'open' AND stage {} 'ingest' LIMIT 1"
    letter, other = found(letters.format("=")), found(letters.format("<>"))
    waits = rows(busy, "SELECT action_id FROM approvals WHERE state = 'open' ORDER BY expires_at DESC LIMIT 3")
    unknown = found("SELECT action_id FROM actions WHERE state = 'unknown' LIMIT 1")
    token_of(busy, member(busy, "asks@revpipe.example"), "read")
    token = found("SELECT token_id FROM api_tokens LIMIT 1")
    lines = [
        "signals",
        f"signals --deal {deal}",
        "queues",
        "llm usage --since 1d",
        "approvals list",
        f"approvals approve {waits[0]['action_id']}",
        f"approvals reject {waits[1]['action_id']}",
        f"approvals show {waits[0]['action_id']}",
        f"approvals edit {waits[2]['action_id']} --set subject=Another",
        "approvals list --state approved --owner 71",
        "suppressions add example.org",
        "suppressions list",
        "suppressions remove example.org",
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
        "users list",
        "users add new@revpipe.example --role rep",
        "users set new@revpipe.example --role viewer",
        "users link new@revpipe.example",
        "users disable new@revpipe.example",
        "tokens add asks@revpipe.example --name x --scope read",
        "tokens list --user asks@revpipe.example",
        f"tokens revoke {token}",
        "audit seal",
        "balance",
        "prune --dry-run",
        "rules check",
        "rules versions",
        f"rules show {found('SELECT version FROM rule_versions LIMIT 1')}",
        "rules shadow --since 30d",
        f"trace {deal}",
        f"trace {acted}",
        f"trace {acted} --why-not rival",
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
    return [one for one in missing if one not in READS_A_PERIOD]


def pages(app: Flask) -> list[str]:
    """Every page that takes no arguments."""
    return [rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]


def asks_of_the_api(called: Called) -> list[tuple[str, Caller]]:
    """Each list and record, with filters of each kind, as somebody who sees all and as a rep asks for them."""
    busy = called.services
    acted = one(busy, f"SELECT * FROM signals WHERE signal_id = {SIGNALLED.format('acted')}")
    action = one(busy, "SELECT * FROM actions WHERE signal_id = :id LIMIT 1", id=acted["signal_id"])
    waits = one(busy, "SELECT action_id FROM approvals WHERE state = 'open' ORDER BY expires_at LIMIT 1")["action_id"]
    letter = one(busy, "SELECT letter_id FROM dead_letters LIMIT 1")["letter_id"]
    version = one(busy, "SELECT version FROM rule_versions LIMIT 1")["version"]
    since = acted["received_at"].isoformat().replace("+", "%2B")
    asked = [
        *("/signals", "/signals?event=call.completed&priority=low", "/signals?state=waiting"),
        f"/signals?since={since}",
        f"/signals?deal_id={acted['deal_id']}",
        f"/signals?correlation_id={acted['correlation_id']}",
        f"/signals?delivery_id={acted['delivery_id']}",
        *(f"/signals/{acted['signal_id']}", f"/signals/{acted['signal_id']}/trail"),
        *("/plans", f"/plans?signal_id={acted['signal_id']}", "/plans?decided_by=llm", f"/plans/{action['plan_id']}"),
        *("/actions", "/actions?state=unknown", "/actions?type=send_alert", f"/actions?plan_id={action['plan_id']}"),
        *(f"/actions?subject={action['subject']}", f"/actions?signal_id={acted['signal_id']}"),
        f"/actions/{action['action_id']}",
        *("/approvals", "/approvals?state=approved", f"/approvals/{waits}", "/queues", "/audit", "/rules"),
        *("/dead-letters", f"/dead-letters/{letter}", f"/dead-letters/{letter}/forecast"),
        *("/rule-versions", f"/rule-versions/{version}"),
    ]
    admin, rep = called.as_("admin"), called.as_("rep", ROBIN)
    return [(path, who) for path in asked for who in (admin, rep)]


def test_the_api(busy: Services, explainer: Explainer) -> None:
    with answering(for_api(busy)) as url, explainer.watching():
        for path, who in asks_of_the_api(Called(for_api(busy), url)):
            answer = who.get(path)
            assert answer.status_code in (200, 403), (path, answer.text)
            if answer.status_code == 200 and answer.json().get("next"):
                follow = "&" if "?" in path else "?"
                assert who.get(f"{path}{follow}after={answer.json()['next']}").status_code == 200, path
    judge(explainer, "lists/walks", "lists/signals", "lists/plans", "lists/actions", "lists/owners")


def test_the_pages(busy: Services, explainer: Explainer) -> None:
    Keeper(busy).round()
    app = create_app(busy)
    assert {"/", "/metrics", "/readyz", ACCOUNT} <= set(pages(app))
    admin = at_home(app, busy, member(busy, "looks@revpipe.example", "admin"))
    with explainer.watching():
        for page in pages(app):
            answer = admin.get(page)
            assert answer.status_code < 500, (page, answer.text)
    judge(explainer, "queries", "balance", "leases")


def test_signing_in_and_out(busy: Services, explainer: Explainer, clock: MovableClock) -> None:
    app, user = create_app(busy), member(busy, "signs-in@revpipe.example", "operator", PASSWORD)
    with explainer.watching():
        client = app.test_client()
        assert sign_in(client, user.email, "wrong").status_code == 401
        assert sign_in(client, user.email).status_code == 303
        clock.move(minutes=5)
        assert client.get("/console/account", headers=token_of(busy, user, "read")).status_code == 403
        wanted = {"current": PASSWORD, "wanted": PASSWORD + " 2", "again": PASSWORD + " 2"}
        assert post(client, f"{ACCOUNT}/password", ACCOUNT, **wanted).status_code == 303
        assert post(client, f"{ACCOUNT}/sessions/end-others", ACCOUNT).status_code == 303
        assert post(client, "/console/sign-out", ACCOUNT).status_code == 303
        first.link(busy.engine, clock.now())
        assert client.get(f"{SIGN_IN}/link/none").status_code == 410
    judge(explainer, *(f"users/{name}" for name in ("sessions", "passwords", "throttle", "tidying", "links", "tokens")))
