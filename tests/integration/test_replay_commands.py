"""The commands of the person on call: dead letters listed, replayed and discarded, signals replayed; all audited."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from revpipe import audit
from revpipe.cli import cli
from revpipe.embedded.client import Lease
from revpipe.errors import EffectUnknown, Permanent
from revpipe.services import Services
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    FakeProvider,
    MovableClock,
    call,
    one,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    signal_id,
    signal_row,
)

Ask = Callable[..., Result]


@pytest.fixture
def ask(ledger_url: str, pair: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command on the test's ledger; what it prints is in its `stdout`."""
    monkeypatch.setenv("DATABASE_URL", ledger_url)
    monkeypatch.setenv("REDIS_URL", pair.redis_url)
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(tmp_path))

    def run(*arguments: Any, answer: str | None = None) -> Result:
        return CliRunner().invoke(cli, [str(one) for one in arguments], input=answer)

    return run


@pytest.fixture
def buried(services: Services, provider: FakeProvider, clock: MovableClock) -> list[uuid.UUID]:
    """Three signals without a context, the first buried first, and one bad event; the ids of their letters."""
    for name in ("a", "b", "c"):
        provider.script[signal_id(name)] = Permanent(f"no {name}")
        put(services, call(name, f"d-{name}"))
        run_stage(services, "enrich")
        clock.move(minutes=1)
    put(services, {"bad": "no_time"})
    return [row["letter_id"] for row in rows(services, "SELECT letter_id FROM dead_letters ORDER BY last_at")]


def listed(ask: Ask, *arguments: Any) -> list[str]:
    done = ask("deadletters", "list", "--json", *arguments)
    assert done.exit_code == 0, done.output
    return [row["letter_id"] for row in json.loads(done.stdout)]


def test_the_list_is_filtered_and_paged(ask: Ask, services: Services, buried: list[uuid.UUID]) -> None:
    newest_first = [str(one) for one in reversed(buried)]
    page = ask("deadletters", "list", "--limit", 3).stdout.splitlines()
    assert [line.split()[0] for line in page[:3]] == newest_first[:3]
    mark = page[-1].removeprefix("more: add --after ")
    assert listed(ask, "--after", mark, "--stage", "enrich") == newest_first[3:]
    assert listed(ask, "--state", "all", "--since", "1h", "--signal", signal_id("b")) == [str(buried[1])]


def test_replay_by_filter_asks_first_and_everything_needs_to_be_said(
    ask: Ask, services: Services, buried: list[uuid.UUID]
) -> None:
    assert ask("deadletters", "replay").exit_code == 2
    assert ask("deadletters", "replay", buried[0], "--reason", "permanent").exit_code == 2
    assert "does not ask" in ask("deadletters", "replay", "--all", "--json").stderr
    refused = ask("deadletters", "replay", "--reason", "permanent", answer="n\n")
    assert "3 to replay: 3 decided anew" in refused.stdout
    dry = ask("deadletters", "replay", "--all", "--dry-run")
    assert dry.stdout.count("no action was done before") == 3
    assert rows(services, "SELECT 1 FROM operator_audit") == []
    assert rows(services, "SELECT 1 FROM dead_letters WHERE state <> 'open'") == []
    done = ask("deadletters", "replay", "--reason", "permanent", "--rate", 0.5, "--actor", "kim", answer="y\n")
    assert "3 replayed, spread over 4 s" in done.stdout
    assert rows(services, "SELECT letter_id FROM dead_letters WHERE state = 'open'") == [{"letter_id": buried[3]}]
    assert [signal_row(services, name)["state"] for name in "abc"] == ["received"] * 3
    again = ask("deadletters", "replay", buried[0])
    assert again.exit_code == 0
    assert "nothing to do: it was replayed" in again.stdout
    assert "by kim" in again.stdout


def test_replay_by_id_needs_no_answer_and_speaks_json(ask: Ask, services: Services, buried: list[uuid.UUID]) -> None:
    done = ask("deadletters", "replay", buried[1], uuid.uuid4(), "--json")
    told = json.loads(done.stdout)
    assert [one["outcome"] for one in told["results"]] == ["replayed", "refused"]
    assert told["forecasts"][0]["stage"] == "enrich"
    assert told["forecasts"][0]["anew"] is True
    assert told["results"][1]["reason"] == "there is no such dead letter"
    assert ask("trace", signal_id("b")).stdout.count(f"audit {told['audit_id']}") == 1


def test_a_letter_that_no_source_can_read_is_named(ask: Ask, buried: list[uuid.UUID]) -> None:
    done = ask("deadletters", "replay", buried[3])
    assert "not replayed: no source is registered as 'fake'" in done.stdout


def test_discard_keeps_the_reason_and_its_signal_dead_lettered(
    ask: Ask, services: Services, buried: list[uuid.UUID]
) -> None:
    assert ask("deadletters", "discard", buried[0]).exit_code == 2
    assert ask("deadletters", "discard", uuid.uuid4(), "--why", "a slip").exit_code == 1
    assert ask("deadletters", "replay", uuid.uuid4()).exit_code == 1
    assert ask("deadletters", "list", "--stage", "nosuch").exit_code == 2
    assert ask("deadletters", "list", "--since", "4h ago").exit_code == 0
    assert str(buried[0]) in ask("deadletters", "discard", buried[0], "--why", "a test", "--dry-run").stdout
    assert rows(services, "SELECT 1 FROM dead_letters WHERE state <> 'open'") == []
    done = ask("deadletters", "discard", buried[0], buried[0], "--why", "a test", "--actor", "kim@desk", "--json")
    assert json.loads(done.stdout)["discarded"] == [str(buried[0])]
    found = one(services, "SELECT * FROM dead_letters WHERE letter_id = :id", id=buried[0])
    assert (found["state"], found["closed_by"], found["closed_why"]) == ("discarded", "kim@desk", "a test")
    assert signal_row(services, "a")["disposition"] == "dead_lettered"
    ask("deadletters", "discard", "--stage", "enrich", "--why", "all of it", answer="n\n")
    assert one(services, "SELECT count(*) AS n FROM dead_letters WHERE state = 'open'") == {"n": 3}
    ask("deadletters", "discard", "--stage", "enrich", "--why", "all of it", answer="y\n")
    assert listed(ask) == [str(buried[3])]


def test_a_forecast_names_what_is_done_runs_and_is_in_doubt(ask: Ask, services: Services, hubspot: FakeAdapter) -> None:
    hubspot.script = lambda order: EffectUnknown("the answer was lost")
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    told = ask("replay", "signal", signal_id("a"), "--from", "execute", "--dry-run").stdout
    assert "outcome unknown, will be looked up first" in told
    assert "already done (x-" in told
    assert "settle it first" in ask("replay", "signal", signal_id("a"), "--from", "decide", "--dry-run").stdout
    rows(services, "UPDATE actions SET state = 'failed', maybe_done = false WHERE state = 'unknown'")
    rows(services, "UPDATE signals SET state = 'done', disposition = 'dead_lettered'")
    assert "will run" in ask("replay", "signal", signal_id("a"), "--from", "execute", "--dry-run").stdout
    anew = ask("replay", "signal", signal_id("a"), "--from", "decide", "--dry-run").stdout
    assert "these were done already and stay:" in anew
    assert anew.count("already done (x-") == 1


def test_a_corrected_payload_comes_from_a_file(ask: Ask, services: Services, tmp_path: Path) -> None:
    put(services, call("a", payload={"competitors": []}))
    run_to(services, "decide")
    file = tmp_path / "better.json"
    file.write_text('["no object"]')
    assert "must hold one JSON object" in str(ask("replay", "signal", signal_id("a"), "--payload", file).exception)
    file.write_text('{"competitors": ["Initech"]}')
    assert "1 replayed" in ask("replay", "signal", signal_id("a"), "--payload", file).stdout
    row = signal_row(services, "a")
    assert (row["payload"], row["stage"]) == ({"competitors": ["Initech"]}, "enrich")


def test_a_period_is_replayed_once_it_was_agreed_to(ask: Ask, services: Services) -> None:
    put(services, call("a", payload={"competitors": []}), call("b", "d2"))
    run_to(services, "decide")
    period = ("replay", "period", "--since", "1h", "--event", "call.completed")
    refused = ask(*period, answer="n\n")
    assert "1 to replay, 1 not: 1 decided anew" in refused.stdout
    assert "not replayed: it is in flight: decided, in execute.standard" in refused.stdout
    assert signal_row(services, "a")["disposition"] == "nothing_due"
    assert "1 refused, 1 replayed" in ask(*period, "--yes").stdout
    assert signal_row(services, "a")["stage"] == "decide"
    assert ask("replay", "period", "--since", "long ago").exit_code == 2


def test_the_audit_tells_who_did_what(ask: Ask, services: Services, hubspot: FakeAdapter, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOGNAME", "robin")
    hubspot.script = lambda order: EffectUnknown("the answer was lost")
    put(services, call("a"), call("b", "d2", event="deal.stage_changed"))
    run_to(services, "execute")
    run_act(services)
    (unsure,) = rows(services, "SELECT action_id FROM actions WHERE state = 'unknown'")
    waiting = rows(services, "SELECT action_id FROM actions WHERE state = 'awaiting_approval' ORDER BY type")
    assert ask("actions", "settle", unsure["action_id"]).exit_code == 2
    assert rows(services, "SELECT 1 FROM actions WHERE state = 'unknown'")
    ask("actions", "settle", unsure["action_id"], "--happened")
    ask("approvals", "approve", waiting[0]["action_id"], "--by", "kim")
    ask("approvals", "reject", waiting[1]["action_id"], "--by", "kim")
    assert ask("approvals", "reject", waiting[1]["action_id"]).exit_code != 0
    told = json.loads(ask("audit", "--json").stdout)
    assert [row["command"] for row in told] == [
        "approvals reject",
        "approvals reject",
        "approvals approve",
        "actions settle",
    ]
    assert {row["actor"] for row in told} == {audit.user_here()}
    assert told[0]["actor"].startswith("robin@")
    assert [row["detail"]["outcome"] for row in told] == [
        {"refused": "already_decided"},
        {"state": "rejected"},
        {"state": "approved"},
        {"state": "done"},
    ]
    assert told[2]["detail"]["by"] == "kim"
    page = ask("audit", "--limit", 2).stdout.splitlines()
    assert len(page) == 3
    rest = ask("audit", "--before", page[-1].split()[-1]).stdout
    assert "approvals approve" in rest
    assert "approvals reject" not in rest
