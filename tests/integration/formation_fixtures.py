"""`revpipe up` and other commands as processes of their own, and the means to see who is left running."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import psutil

from revpipe.embedded.client import wait_stopped

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
"""Seconds; generous, for the machine may be busy. Every wait ends as soon as what it waits for holds."""


@dataclass
class Command:
    """A running `revpipe` command, what it has printed so far, and the processes that were seen under it."""

    process: subprocess.Popen[str]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    def word(self, name: str) -> str:
        """What follows `name` at the start of a printed line; waits for that line."""
        assert within(PATIENCE, lambda: self.line(name) is not None or self.process.poll() is not None)
        line = self.line(name)
        assert line is not None, self.said()
        return line.removeprefix(name).strip()

    def line(self, name: str) -> str | None:
        return next((one for one in list(self.out) if one.startswith(name)), None)

    def said(self) -> str:
        return "".join([*self.out, *self.err])

    def ends(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(PATIENCE)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command run to its end."""
    return subprocess.run(
        _command(arguments),
        env=_environment(variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def started(*arguments: str, **variables: str) -> Iterator[Command]:
    """A command while it runs; whatever of it is left at the end is killed."""
    process = subprocess.Popen(
        _command(arguments),
        env=_environment(variables),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    command = Command(process)
    threads = [
        Thread(target=_read, args=(stream, into))
        for stream, into in ((process.stdout, command.out), (process.stderr, command.err))
    ]
    for thread in threads:
        thread.start()
    try:
        yield command
    finally:
        process.kill()
        process.wait()
        for thread in threads:
            thread.join(PATIENCE)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder of its own with a short name; at the end its servers are gone and it is removed."""
    folder = Path(tempfile.mkdtemp(prefix="rp-"))
    try:
        yield folder / "d"
        assert wait_stopped(folder / "d", PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def users_of(folder: Path) -> list[psutil.Process]:
    """The processes of a data folder: those told of it by command line or environment, and its servers."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            told = process.environ().get("REVPIPE_DATA_DIR")
        except psutil.Error:
            continue
        if told == str(folder) or any(str(folder) in word for word in words):
            found.append(process)
    return [process for process in found if process.pid != os.getpid() and _lives(process)]


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold in that time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _read(stream: object, into: list[str]) -> None:
    for line in stream:  # type: ignore[attr-defined]
        into.append(line)


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "revpipe", *arguments]


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Next to nothing: no setting of the machine that runs the tests gets in."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
