"""The Procfile, app.json and `revpipe up` against the queue table: every line starts, every queue is worked."""

import json
import re

import click
import pytest
from project_files import ROOT

from config.queues import LLM, PRIORITIES, QUARANTINE, QUEUES, URGENT, select
from revpipe.cli import cli
from revpipe.local import formation

LINES = dict(
    line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines() if line.strip()
)
COMMAND = re.compile(r"exec python -m revpipe (\S+) ?(.*)")
SINGLE = ("release", "web", "keeper", "beat", "flower")


def parsed(line: str) -> tuple[str, click.Context]:
    """The command of a line and its arguments, read by the very parser that will read them."""
    matched = COMMAND.fullmatch(line)
    assert matched, f"must be `exec python -m revpipe COMMAND`: {line}"
    name, arguments = matched.group(1), matched.group(2).split()
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"there is no revpipe {name}"
    return name, command.make_context(name, arguments)


def queues_of(line: str) -> tuple[str, ...]:
    """The queues that a worker line works."""
    _, context = parsed(line)
    return select(context.params["queues"] or ("all",))


WORKERS = {name: line for name, line in LINES.items() if parsed(line)[0] == "worker"}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_a_command_that_exists(name: str) -> None:
    command, _ = parsed(LINES[name])
    expected = {"release": "migrate"}.get(name, name if name in SINGLE else "worker")
    assert command == expected


@pytest.mark.parametrize("name", ["web", "flower"])
def test_what_the_router_calls_listens_everywhere_on_its_port(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "31337")
    _, context = parsed(LINES[name])
    assert "0.0.0.0" in context.params.values()
    assert context.params["port"] == 31337


@pytest.mark.parametrize("whole", [["worker"], [name for name in WORKERS if name != "worker"]], ids=["one", "split"])
def test_every_queue_is_worked(whole: list[str]) -> None:
    worked = {queue for name in whole for queue in queues_of(WORKERS[name])}
    assert worked == set(QUEUES)


@pytest.mark.parametrize("process", sorted({queue.process for queue in QUEUES.values()}))
def test_a_process_type_works_the_queues_that_the_table_gives_it(process: str) -> None:
    mine = {name for name, queue in QUEUES.items() if queue.process == process}
    assert mine <= set(queues_of(WORKERS[process]))


@pytest.mark.parametrize("process", sorted({queue.process for queue in QUEUES.values()}))
def test_urgent_work_has_slots_that_take_nothing_else(process: str) -> None:
    urgent = {name for name, queue in QUEUES.items() if queue.process == process and queue.priority in URGENT}
    assert set(queues_of(WORKERS[f"{process}_urgent"])) == urgent


@pytest.mark.parametrize("llm", [False, True])
def test_up_works_every_queue_and_keeps_urgent_slots_too(*, llm: bool) -> None:
    commands = formation._commands(1, None, llm=llm)
    workers = [arguments[2:] for name, arguments in commands if name.startswith("worker")]
    worker = cli.get_command(click.Context(cli), "worker")
    assert worker is not None
    chosen = [set(select(worker.make_context("worker", list(one)).params["queues"])) for one in workers]
    assert set().union(*chosen) == set(QUEUES)
    urgent = [one for one in chosen if {QUEUES[queue].priority for queue in one} == set(URGENT)]
    assert len(urgent) == 1
    # A slow model must not stand in the slots of what is urgent.
    assert not any(QUEUES[queue].process == LLM for queue in urgent[0])
    assert {queue.priority for queue in QUEUES.values()} == {*PRIORITIES, QUARANTINE}


def test_the_button_starts_what_the_smallest_formation_needs() -> None:
    formed = json.loads((ROOT / "app.json").read_text(encoding="utf-8"))["formation"]
    assert {name for name, dyno in formed.items() if dyno["quantity"] > 0} == {"web", "worker", "keeper", "beat"}
    assert set(formed) <= set(LINES)
