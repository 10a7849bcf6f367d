"""The demo as a person sees it, and the commands that look into what it left."""

import json
import signal
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from revpipe.cli import cli
from tests.integration.formation_fixtures import PATIENCE, Command, data_folder, run, started, users_of, within

ACME = "198765432101"
Ask = Callable[..., Result]
pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Demo:
    """A demo whose story has been told and that stays up."""

    command: Command
    folder: Path
    text: str


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with data_folder() as folder, started("demo", "--data-dir", str(folder)) as command:
        command.word("everything stays up")
        yield Demo(command, folder, "".join(command.out))


@pytest.fixture
def ask(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command on the demo's data folder."""
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(demo.folder))
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def stories(ask: Ask, *arguments: str) -> list[dict[str, Any]]:
    done = ask("trace", *arguments, "--json")
    assert done.exit_code == 0, done.output
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def call_story(ask: Ask) -> dict[str, Any]:
    return next(one for one in stories(ask, ACME) if one["signal"]["event"] == "call.completed")


def test_the_call_leads_to_task_alert_and_draft_in_one_go(demo: Demo, ask: Ask) -> None:
    story = call_story(ask)
    states = {one["type"]: one["state"] for one in story["actions"]}
    assert states.pop("draft_followup") in ("awaiting_approval", "ready", "done")
    assert states == {"create_task": "done", "send_alert": "done"}
    fired, received = (datetime.fromisoformat(story["signal"][name]) for name in ("fired_at", "received_at"))
    assert (received - fired).total_seconds() < 60
    assert f"why? revpipe trace {story['signal']['signal_id']}" in demo.text


def test_the_table_fits_the_screen_and_names_deals_and_rules(demo: Demo) -> None:
    table = demo.text.split("Three deals, one fortnight")[1].split("why?")[0].splitlines()
    assert max(map(len, table)) <= 120
    (call,) = [line for line in table if line.startswith(("call", " call"))]
    for words in ("Acme, platform renewal", "competitor-mentioned", "task done"):
        assert words in call
    assert any("close-date-pushed-twice" in line for line in table)
    assert demo.text.count("1 duplicates") == 1
    assert "dead letter (bad_time)" in demo.text
    assert "web      http://127.0.0.1:" in demo.text


def test_trace_explains_a_task_on_one_screen(ask: Ask) -> None:
    signal_id = call_story(ask)["signal"]["signal_id"]
    done = ask("trace", signal_id)
    lines = done.output.splitlines()
    assert len(lines) < 30  # Two rules fire on this call, and each is told with its terms.
    assert max(map(len, lines)) <= 140
    for words in ("Acme, platform renewal", "rule competitor-mentioned", '["Northwind"]', "hubspot 31"):
        assert words in done.output


def test_every_id_of_a_signal_leads_to_it(ask: Ask) -> None:
    story = call_story(ask)
    ids = [story["signal"][name] for name in ("signal_id", "correlation_id", "delivery_id")]
    for name in [*ids, story["actions"][0]["action_id"]]:
        assert [one["signal"]["signal_id"] for one in stories(ask, name)] == [ids[0]]


def test_a_deals_signals_come_oldest_first_and_bounded(ask: Ask) -> None:
    told = stories(ask, ACME)
    times = [one["signal"]["received_at"] for one in told]
    assert len(times) > 1
    assert times == sorted(times)
    assert all(time.endswith("+00:00") for time in times)
    assert stories(ask, ACME) == told
    first = ask("trace", ACME, "--limit", "1")
    assert told[0]["signal"]["signal_id"] in first.stdout
    assert told[1]["signal"]["signal_id"] not in first.stdout
    assert f"{len(told) - 1} newer signals are left out; see them with --limit {len(told)}" in first.stderr


def test_trace_of_an_unknown_id_says_where_to_look(ask: Ask) -> None:
    for name in ("4711", str(uuid.uuid4())):
        done = ask("trace", name)
        assert done.exit_code == 2
        assert name in done.stderr
        assert "revpipe signals" in done.stderr


def test_trace_of_a_dead_letter_without_a_signal_names_the_letter(ask: Ask) -> None:
    (letter,) = json.loads(ask("deadletters", "list", "--json").stdout)
    done = ask("trace", letter["letter_id"])
    assert done.exit_code == 2
    assert f"revpipe deadletters show {letter['letter_id']}" in done.stderr
    shown = ask("deadletters", "show", letter["letter_id"])
    assert "the day before" in shown.output


def test_an_approval_is_given_once_and_told_in_the_trace(demo: Demo, ask: Ask) -> None:
    waiting = json.loads(ask("approvals", "list", "--json").stdout)
    chosen = waiting[0]["action_id"]
    assert chosen in ask("approvals", "list").output
    assert ask("approvals", "approve", chosen, "--by", "kim").exit_code == 0
    again = run("approvals", "approve", chosen, REVPIPE_DATA_DIR=str(demo.folder))
    assert again.returncode == 2
    assert "approved already, by kim" in again.stderr
    assert within(PATIENCE, lambda: stories(ask, chosen)[0]["signal"]["disposition"] == "acted")
    assert "approved by kim (cli) at" in ask("trace", chosen).output


def test_signals_and_queues_list_what_there_is(ask: Ask) -> None:
    rows = json.loads(ask("signals", "--json", "--limit", "100").stdout)
    assert len(rows) == 13
    assert ask("signals", "--deal", ACME).output.count("\n") == len([one for one in rows if one["deal_id"] == ACME])
    assert ask("signals", "--limit", "1").output.count("\n") == 1
    assert ask("queues").output.startswith("queue")


def test_z_a_second_demo_is_refused_and_one_ctrl_c_stops_the_first(demo: Demo) -> None:
    second = run("demo", "--exit", "--data-dir", str(demo.folder))
    assert second.returncode == 2
    assert "already runs" in second.stderr
    demo.command.process.send_signal(signal.SIGINT)
    assert demo.command.ends() == 0
    assert "Traceback" not in demo.command.said()
    assert within(PATIENCE, lambda: not users_of(demo.folder))
