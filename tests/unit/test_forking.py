"""Processes forked from one that has imported all: they run, end and are told of as if started on their own."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from revpipe.local.forking import NOT_TOLD, POSSIBLE, Forked, ForkServer

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="this system has no pidfd_open")

SERVES = ("http.server", "0", "--bind", "127.0.0.1")


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    made = ForkServer(os.environ)
    made.start()
    yield made
    made.close()


def forked(server: ForkServer, log: Path, *arguments: str, **environment: str) -> Forked:
    """A process of the server, that writes to `log`, and whose parent lives as long as this test."""
    read, write = os.pipe()
    try:
        with log.open("ab") as output:
            return server.fork("made", arguments, {**os.environ, **environment}, output.fileno(), read)
    finally:
        os.close(read)
        # It stays open in nobody: what does not watch it does not mind.
        os.close(write)


def says(log: Path, words: str) -> None:
    deadline = time.monotonic() + 60
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def test_it_has_its_own_words_environment_output_session_and_name(server: ForkServer, tmp_path: Path) -> None:
    # What is asked for is run as a module from the folder that the server was started in.
    one = forked(server, tmp_path / "log", "tests.unit.forked", "a", "b c", WORD="other")
    assert one.wait(60) == 7
    said = (tmp_path / "log").read_text()
    assert f"['a', 'b c'] other {one.pid} {one.pid} made" in said
    assert "the exit handler ran" in said


def test_how_it_ended_is_told(server: ForkServer, tmp_path: Path) -> None:
    failed = forked(server, tmp_path / "failed", "json.tool", "/nonexistent/no.json")
    killed = forked(server, tmp_path / "killed", *SERVES)
    asked = forked(server, tmp_path / "asked", *SERVES)
    says(tmp_path / "killed", "Serving")
    says(tmp_path / "asked", "Serving")
    with pytest.raises(subprocess.TimeoutExpired):
        killed.wait(0.05)
    assert killed.poll() is None
    killed.kill()
    asked.terminate()
    assert killed.wait(60) == -signal.SIGKILL
    assert asked.wait(60) == -signal.SIGTERM
    assert failed.wait(60) not in (0, None)
    assert "no.json" in (tmp_path / "failed").read_text()
    killed.kill()
    assert killed.poll() == -signal.SIGKILL


def test_should_the_server_die_its_processes_live_on_and_it_is_made_anew(tmp_path: Path) -> None:
    server = ForkServer(os.environ)
    try:
        first = forked(server, tmp_path / "first", *SERVES)
        says(tmp_path / "first", "Serving")
        psutil.Process(first.pid).parent().kill()  # type: ignore[union-attr]
        second = forked(server, tmp_path / "second", *SERVES)
        says(tmp_path / "second", "Serving")
        assert first.poll() is None
        os.kill(first.pid, signal.SIGKILL)
        second.kill()
        assert second.wait(60) == -signal.SIGKILL
    finally:
        server.close()
    assert first.wait(60) == NOT_TOLD
