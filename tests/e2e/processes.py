"""Real `revpipe` processes: started with an environment of their own, stopped, and looked for when they are gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import psutil
import pytest

from config.settings import Settings

ROOT: Final = Path(__file__).parents[2]
OURS: Final = {item.name.upper() for item in fields(Settings)} | {"PORT", "WEB_CONCURRENCY", "WORKER_CONCURRENCY"}
FORKED: Final[dict[int, Path]] = {}
"""The sessions of the processes that tests/e2e/preloaded.py made, and their logs."""
T = TypeVar("T")


def until(probe: Callable[[], T | None], what: str, seconds: float = 60.0, every: float = 0.1) -> T:
    """The first answer of `probe` that counts as true; fails the test, naming `what`, when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(every)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with none of revpipe's variables but `settings`."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def run(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    command = [sys.executable, "-m", "revpipe", *arguments]
    return subprocess.run(
        command, env=environment(settings), cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )


class Started(Protocol):
    """What the tests use of a subprocess.Popen."""

    pid: int

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: signal.Signals, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Process:
    """One long-running command; what it says goes to `log`."""

    popen: Started

    def __init__(self, settings: Mapping[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "revpipe", *arguments],
                env=environment(settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def signal_group(self, number: signal.Signals) -> None:
        """A signal to the process and to all that it started, as a platform sends it to a dyno."""
        os.killpg(self.popen.pid, number)

    def says(self, words: str, seconds: float = 110.0) -> str:
        """All output so far, once `words` are in it."""

        def heard() -> str | None:
            text = self.log.read_text(encoding="utf-8", errors="replace")
            if words not in text and self.popen.poll() is not None:
                pytest.fail(f"it ended with {self.popen.returncode} before it said {words!r}:\n{text[-3000:]}")
            return text if words in text else None

        return until(heard, f"{words!r} in {self.log.name}", seconds)

    def ended(self, seconds: float = 60.0) -> int:
        """The exit code, once it has ended by itself."""
        return self.popen.wait(seconds)

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM, and the exit code."""
        if self.popen.poll() is None:
            self.popen.terminate()
        return self.popen.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, with all that it started."""
        if self.popen.poll() is None:
            for child in psutil.Process(self.popen.pid).children(recursive=True):
                child.kill()
            self.popen.kill()
        self.popen.wait(30)


@contextmanager
def process(settings: Mapping[str, str], log: Path, *arguments: str) -> Iterator[Process]:
    """A command for the length of a `with` block."""
    with ending(Process(settings, log, *arguments)) as started:
        yield started


@contextmanager
def ending(started: Process) -> Iterator[Process]:
    """A process for the length of a `with` block, at whose end it is told to stop."""
    try:
        yield started
        started.stop()
    finally:
        started.kill()


def left_over(folder: Path) -> list[str]:
    """The command lines of processes that name `folder`, in their arguments or their environment.

    A forked one shows those of its server: it is known by its session, and so is what it started.
    """
    found = []
    for one in psutil.process_iter():
        if one.pid != os.getpid() and (str(folder) in _traces(one) or folder in _log_of(one).parents):
            found.append(" ".join(one.cmdline()) if one.is_running() else f"process {one.pid}")
    return found


def _log_of(one: psutil.Process) -> Path:
    """That of a forked process or of one of its session, an empty path for others."""
    try:
        ended = one.status() == psutil.STATUS_ZOMBIE
        return Path() if ended else FORKED.get(os.getsid(one.pid), Path())
    except (psutil.NoSuchProcess, ProcessLookupError):
        return Path()


def _traces(one: psutil.Process) -> str:
    try:
        if one.status() == psutil.STATUS_ZOMBIE:
            return ""
        traces: list[Any] = [*one.cmdline(), *one.environ().values()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
    return "\n".join(map(str, traces))
