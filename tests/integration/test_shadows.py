"""Rules in shadow: asked on every signal, with cooldowns of their own, without any effect."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from revpipe import decide, prune_rows, shadow_report
from revpipe.action_policy import ActionPolicy
from revpipe.cli import cli
from revpipe.db import transaction
from revpipe.embedded.client import Lease
from revpipe.ports import Part
from revpipe.services import Services
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
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
)
from tests.integration.shadow_rules import with_shadow

Make = Callable[..., Services]


def outcomes(services: Services, name: str | None = None) -> list[dict[str, Any]]:
    found = rows(services, "SELECT * FROM shadow_outcomes ORDER BY created_at, signal_id")
    return [row for row in found if name is None or row["signal_id"] == signal_id(name)]


def reasons(services: Services, name: str) -> list[Any]:
    (row,) = outcomes(services, name)
    return [action["reason"] for action in row["actions"]]


def test_a_rule_in_shadow_leaves_a_row_and_nothing_else(make_services: Make) -> None:
    services = make_services(rules=with_shadow())
    put(services, call("a"))
    run_to(services, "execute")
    (row,) = outcomes(services)
    assert (row["rule_id"], row["subject"], row["rules_version"]) == ("tried", "deal:d1", services.rules.version)
    assert row["settles"]
    assert row["actions"] == [
        {
            "type": "create_task",
            "priority": "immediate",
            "person": False,
            "params": {"subject": "Hooli, 40 seats"},
            "reason": None,
        },
        {
            "type": "send_alert",
            "priority": "immediate",
            "person": True,
            "params": {"title": "t", "text": "b"},
            "reason": None,
        },
    ]
    assert [action["rule_id"] for action in rows(services, "SELECT rule_id FROM actions")] == ["live-task"]
    assert rows(services, "SELECT * FROM approvals") == []
    plan = one(services, "SELECT conclusive, decided_by, why FROM plans")
    assert (plan["conclusive"], plan["decided_by"], plan["why"]["fired"]) == (False, "fallback", ["live-task"])
    assert [told["rule"] for told in plan["why"]["rules"]] == ["live-task"]
    assert [(told["rule"], told["fired"]) for told in plan["why"]["shadow"]] == [("tried", True)]
    assert signal_row(services, "a")["priority"] == "standard"


@pytest.mark.parametrize(("amount", "asks"), [(5_000, False), (60_000, True)])
def test_it_asks_whom_policy_would_ask_by_the_risk(
    make_services: Make,
    provider: FakeProvider,
    clock: MovableClock,
    policy: Mapping[str, ActionPolicy],
    amount: float,
    asks: bool,
) -> None:
    by_risk = {**policy, "create_task": replace(policy["create_task"], approval="from_medium")}
    services = make_services(rules=with_shadow(), policies=by_risk)
    deal = {"id": "d1", "name": "Hooli", "is_closed": False, "amount": amount}
    provider.script[signal_id("a")] = {"deal": Part("deal", "crm", clock.now(), deal)}
    put(services, call("a"))
    run_to(services, "decide")
    (row,) = outcomes(services)
    assert [action["person"] for action in row["actions"]] == [asks, True]


def test_live_it_would_have_done_just_that(make_services: Make) -> None:
    services = make_services(rules=with_shadow("live"))
    put(services, call("a"))
    run_to(services, "decide")
    tried = rows(services, "SELECT type, state, priority, params FROM actions WHERE rule_id = 'tried' ORDER BY type")
    assert [(row["type"], row["state"], row["priority"]) for row in tried] == [
        ("create_task", "planned", "immediate"),
        ("send_alert", "planned", "immediate"),
    ]
    assert outcomes(services) == []
    assert one(services, "SELECT conclusive FROM plans") == {"conclusive": True}


def test_its_own_cooldown_counts_and_blocks_nobody_else(make_services: Make, clock: MovableClock) -> None:
    services = make_services(rules=with_shadow())
    put(services, call("a", age_s=20), call("b", age_s=10))
    run_to(services, "decide")
    assert reasons(services, "a") == [None, None]
    assert reasons(services, "b") == ["cooldown", "cooldown"]
    clock.move(minutes=59)
    put(services, call("c"), call("other", "d2"))
    run_to(services, "decide")
    assert (reasons(services, "c"), reasons(services, "other")) == (["cooldown", "cooldown"], [None, None])
    clock.move(minutes=2)
    put(services, call("d"))
    run_to(services, "decide")
    assert reasons(services, "d") == [None, None]
    # Only the first of a deal is planned by the live rule; no shadow action stood in the way of any.
    live = rows(services, "SELECT signal_id, state, suppressed_by, reason FROM actions ORDER BY created_at, signal_id")
    planned = {row["signal_id"] for row in live if row["state"] == "planned"}
    assert planned == {signal_id("a"), signal_id("other")}
    winners = {row["action_id"] for row in rows(services, "SELECT action_id FROM actions")}
    assert all(row["suppressed_by"] in winners for row in live if row["state"] == "suppressed")


def test_put_to_live_it_starts_without_the_cooldown_of_its_shadow(make_services: Make) -> None:
    services = make_services(rules=with_shadow())
    put(services, call("a"))
    run_to(services, "decide")
    services = make_services(rules=with_shadow("live"))
    put(services, call("b"))
    run_to(services, "decide")
    tried = rows(services, "SELECT state FROM actions WHERE rule_id = 'tried' AND signal_id = :id", id=signal_id("b"))
    assert [row["state"] for row in tried] == ["planned", "planned"]


def test_put_to_shadow_it_minds_what_it_did_live(make_services: Make) -> None:
    services = make_services(rules=with_shadow("live"))
    put(services, call("a"))
    run_to(services, "decide")
    services = make_services(rules=with_shadow())
    put(services, call("b"))
    run_to(services, "decide")
    assert reasons(services, "b") == ["already_open", "already_open"]


def test_a_signal_decided_twice_leaves_one_outcome(make_services: Make) -> None:
    services = make_services(rules=with_shadow())
    put(services, call("a"))
    run_to(services, "decide")
    rows(services, "UPDATE signals SET stage = 'decide', queue = 'decide.standard', sent_at = now(), replays = 1")
    (chunk,) = sent(services, "signals", "stage = 'decide'")
    decide.run(Chunk(chunk.ids, chunk.send_no), services)
    assert reasons(services, "a") == [None, None]


def test_its_outcomes_go_with_their_signal(make_services: Make, clock: MovableClock) -> None:
    services = make_services(rules=with_shadow())
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    assert signal_row(services, "a")["disposition"] == "acted"
    assert len(outcomes(services)) == 1
    assert prune_rows.signals(services.engine, clock.move(days=1)) == 1
    assert outcomes(services) == []


def test_the_comparison_counts_what_it_would_have_done(make_services: Make, clock: MovableClock) -> None:
    services = make_services(rules=with_shadow())
    since = clock.now() - timedelta(hours=1)
    put(services, call("a", age_s=20), call("b", age_s=10), call("quiet", "d3", payload={"competitors": []}))
    put(services, {"id": "deal", "deal": "d4", "event": "deal.stage_changed"})
    run_stage(services, "enrich")
    run_stage(services, "decide")
    with transaction(services.engine) as tx:
        (found,) = shadow_report.compare(tx, services.rules, since)
        (later,) = shadow_report.compare(tx, services.rules, clock.move(days=2))
    assert (found.rule_id, found.signals, found.asked, found.fired, found.subjects) == ("tried", 4, 3, 2, 1)
    assert found.planned == {"create_task": 1, "send_alert": 1}
    assert found.held_back == {"cooldown": 2}
    assert (found.approvals, found.settles, found.settled_share) == (1, 2, 0.5)
    assert (found.overlaps, found.beside) == (1, {"live-task": 1})
    assert (later.signals, later.fired, later.settled_share) == (0, 0, None)
    text = "\n".join(shadow_report.lines([found]))
    assert "asked on 3 of 4 signals, fired on 2 of 1 subjects" in text
    assert "would have settled 2 signals that the live rules left open, 50.0% of all" in text


def test_where_a_live_rule_settles_the_signal_the_shadow_does_not(make_services: Make) -> None:
    book = with_shadow()
    services = make_services(rules=type(book)(book_with_conclusive_live(), book.source))
    put(services, call("a"))
    run_to(services, "decide")
    assert [row["settles"] for row in outcomes(services)] == [False]


def book_with_conclusive_live() -> Any:
    from revpipe.rules.rule import RuleFile

    live, tried = with_shadow().rules
    return RuleFile((replace(live, conclusive=True), tried), ())


@pytest.fixture
def ask(ledger_url: str, pair: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command on the test's ledger."""
    monkeypatch.setenv("DATABASE_URL", ledger_url)
    monkeypatch.setenv("REDIS_URL", pair.redis_url)
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(tmp_path))
    return lambda *arguments: CliRunner().invoke(cli, [str(one) for one in arguments])


def test_without_a_rule_in_shadow_the_command_says_how_to_have_one(services: Services, ask: Any) -> None:
    answer = ask("rules", "shadow", "--since", "7d")
    assert (answer.exit_code, "mode: shadow" in answer.stdout) == (0, True)
    assert json.loads(ask("rules", "shadow", "--json").stdout) == []


def test_old_versions_stay_readable_by_their_first_digits(make_services: Make, ask: Any) -> None:
    old, new = with_shadow(), with_shadow("live")
    for name, book in (("a", old), ("b", new)):
        services = make_services(rules=book)
        put(services, call(name, f"deal-{name}"))
        run_to(services, "decide")
    listed = json.loads(ask("rules", "versions", "--json").stdout)
    assert [one["version"] for one in listed] == [new.version, old.version]
    assert [one["rules"]["tried"] for one in listed] == ["live", "shadow"]
    assert "2 rules, 1 in shadow" in ask("rules", "versions").stdout
    assert ask("rules", "show", old.version[:6]).stdout.strip() == old.source.strip()
    shown = json.loads(ask("rules", "show", new.version, "--json").stdout)
    assert (shown["version"], shown["source"]) == (new.version, new.source)
    for name in ("", "zzz"):
        refused = ask("rules", "show", name)
        assert (refused.exit_code, "revpipe rules versions" in refused.output) == (1, True)
