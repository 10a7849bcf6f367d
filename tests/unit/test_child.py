"""A process of `revpipe up` that will not stay alive, and its log."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from revpipe.local import child as children
from revpipe.local.child import Child

FAILS = ("json.tool", "/nonexistent/no.json")
"""A module of the standard library that says what is wrong and ends with an exit code that is not 0."""


@pytest.fixture
def lifeline() -> Iterator[int]:
    read, write = os.pipe()
    yield read
    os.close(read)
    os.close(write)


def until_dead(child: Child, lifeline: int) -> str:
    child.start(os.environ, lifeline)
    assert child.process is not None
    child.process.wait(60)
    return child.bury()


def test_each_death_in_a_row_doubles_the_wait_up_to_a_bound(tmp_path: Path, lifeline: int) -> None:
    child = Child("broken", FAILS, tmp_path / "broken.log")
    assert "started again in 1 s" in until_dead(child, lifeline)
    assert "started again in 2 s" in until_dead(child, lifeline)
    assert child.again_at is not None
    assert child.again_at > time.monotonic()
    child.deaths = 30
    assert f"started again in {children.LONGEST_WAIT:.0f} s" in until_dead(child, lifeline)


def test_who_lived_long_is_started_again_soon(tmp_path: Path, lifeline: int, monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child("steady", FAILS, tmp_path / "steady.log", deaths=5)
    monkeypatch.setattr(children, "STEADY_SECONDS", -1.0)
    assert "started again in 1 s" in until_dead(child, lifeline)


def test_a_death_is_told_with_name_cause_and_the_end_of_its_own_log(tmp_path: Path, lifeline: int) -> None:
    child = Child("broken", FAILS, tmp_path / "broken.log")
    child.log.write_text("words of an earlier start\n")
    told = until_dead(child, lifeline)
    assert told.startswith("broken ended with exit code ")
    assert "no.json" in told
    assert "earlier start" not in told
    assert not child.wrote(b"earlier start")
    assert child.wrote(b"no.json")


def test_a_killed_process_is_told_by_its_signal(tmp_path: Path, lifeline: int) -> None:
    child = Child("http", ("http.server", "0", "--bind", "127.0.0.1"), tmp_path / "http.log")
    child.start(os.environ, lifeline)
    assert child.running
    assert child.process is not None
    child.process.send_signal(signal.SIGKILL)
    child.process.wait(60)
    assert child.how_it_ended() == "was ended by SIGKILL"


def test_one_that_does_not_stop_in_time_is_killed(tmp_path: Path, lifeline: int) -> None:
    child = Child("http", ("http.server", "0", "--bind", "127.0.0.1"), tmp_path / "http.log")
    child.start(os.environ, lifeline)
    child.see_off(time.monotonic())
    assert not child.running
    assert child.how_it_ended() == "was ended by SIGKILL"


def test_a_log_keeps_one_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "web.log"
    for run in ("first", "second"):
        log.write_text(run)
        children.rotate(log)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web.log.1"]
    assert (tmp_path / "web.log.1").read_text() == "second"
    monkeypatch.setattr(children, "LOG_BYTES", 10)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"more than ten bytes")
        Child("web", (), log).bound_log()
        writer.write(b"go on")
    assert log.read_bytes() == b"go on"
    assert (tmp_path / "web.log.1").read_text() == "more than ten bytes"
