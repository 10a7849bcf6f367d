"""Processes of the product without the seconds that each takes to read its code: forked from one that has read it.

What such a process does is what `python -m revpipe` does, in a session of its own, with its own environment and log; it
is signalled and ends as any other. By their command line web, worker and keeper start in test_shutdown.py.
"""

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from revpipe import cli
from tests.e2e import processes
from tests.e2e.processes import ROOT, Process, environment


def context() -> ForkServerContext:
    """Forks children from a process without threads that has imported tests/e2e/preload.py."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.e2e.preload"])
    return made


class Forked:
    """One child of that process, with those methods of subprocess.Popen that the tests use."""

    def __init__(self, values: Mapping[str, str], out: Path, err: Path, work: Callable[..., None], *given: Any) -> None:
        self._process = context().Process(target=_live, args=(dict(values), out, err, work, given))
        self._process.start()
        self.pid = int(self._process.pid or 0)
        processes.FORKED[self.pid] = out

    @property
    def returncode(self) -> int | None:
        """The exit code, the negative number of the signal that ended it, or None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkedProcess(Process):
    """One long-running command; what it says goes to `log`."""

    def __init__(self, settings: Mapping[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        log.touch()
        self.popen = Forked(environment(settings), log, log, command, arguments)


def process(settings: Mapping[str, str], log: Path, *arguments: str) -> AbstractContextManager[Process]:
    """A command for the length of a `with` block."""
    return processes.ending(ForkedProcess(settings, log, *arguments))


def run(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    with tempfile.TemporaryDirectory(prefix="rp-run-") as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        forked = Forked(environment(settings), out, err, command, arguments)
        try:
            code = forked.wait(90)
        finally:
            forked.kill()
        return subprocess.CompletedProcess(arguments, code, out.read_text("utf-8"), err.read_text("utf-8"))


def command(arguments: tuple[str, ...]) -> None:
    """What `python -m revpipe ARGUMENTS` does."""
    sys.argv = [str(ROOT / "revpipe" / "__main__.py"), *arguments]
    cli.main()


def _live(values: Mapping[str, str], out: Path, err: Path, work: Callable[..., None], given: tuple[Any, ...]) -> None:
    """Become a process as subprocess.Popen would have started it, and do the work."""
    os.setsid()
    os.chdir(ROOT)
    for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, _APPEND), (2, err, _APPEND)):
        file = os.open(path, flags, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(values)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(write_through=True)
    work(*given)


_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
