"""One process of `revpipe up`: its log, its start, its end, and how soon it is started again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from revpipe.local.forking import Forked, ForkServer

LOG_BYTES: Final = 16_000_000
STEADY_SECONDS: Final = 60.0
"""A process that lived this long did not die of its start: its next restart is a quick one again."""
LONGEST_WAIT: Final = 60.0


@dataclass(slots=True)
class Child:
    """`arguments` follow `python -m`; `log` takes all that it writes."""

    name: str
    arguments: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] | Forked | None = None
    started: float = 0.0
    deaths: int = 0
    again_at: float | None = None
    _from: int = 0

    def start(self, environment: Mapping[str, str], lifeline: int, server: ForkServer | None = None) -> None:
        """Start it in a session of its own, so that a terminal's Ctrl-C reaches only its parent.

        `server` forks it if it is one of ours: it has imported what those need.
        """
        with self.log.open("ab") as log:
            self._from = log.tell()
            if server is not None and self.arguments[0] == "revpipe":
                self.process = server.fork(self.name, self.arguments, environment, log.fileno(), lifeline)
            else:
                self.process = self._executed(environment, lifeline, log)
        self.started, self.again_at = time.monotonic(), None

    def _executed(self, environment: Mapping[str, str], lifeline: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=(lifeline,),
            start_new_session=True,
        )

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def wrote(self, marker: bytes) -> bool:
        """Whether `marker` is in the log since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return marker in log.read()

    def bury(self) -> str:
        """Note its death, end what it left behind, and say how it died and when it is started again."""
        lived = time.monotonic() - self.started
        self.deaths = 1 if lived > STEADY_SECONDS else self.deaths + 1
        wait = min(LONGEST_WAIT, 2.0 ** (self.deaths - 1))
        self.again_at = time.monotonic() + wait
        self._signal_group(signal.SIGKILL)
        return f"{self.name} {self.how_it_ended()}; it is started again in {wait:.0f} s. {self.last_words()}"

    def how_it_ended(self) -> str:
        """The exit code or the signal, in words."""
        code = self.process.poll() if self.process else None
        if code is None:
            return "does not answer"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def last_words(self, lines: int = 12) -> str:
        """The end of its log since the last start."""
        if not self.log.exists():
            return f"It has no log at {self.log}."
        with self.log.open("rb") as log:
            log.seek(max(self._from, log.seek(0, os.SEEK_END) - 20_000))
            text = log.read().decode(errors="replace").splitlines()[-lines:]
        said = "".join(f"\n    {line}" for line in text)
        return f"The end of {self.log}:{said}" if said else f"It wrote nothing to {self.log}."

    def terminate(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.running:
            self.process.terminate()

    def see_off(self, deadline: float) -> None:
        """Wait for its end until `deadline` (monotonic), then kill it and whatever it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGKILL)
            self.process.wait()

    def bound_log(self) -> None:
        """Move a log that has grown too long aside; it is written in append mode, so it goes on from its start."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
            self._from = 0

    def _signal_group(self, number: signal.Signals) -> None:
        # Its session is its group: a web process that was killed leaves its own children there.
        with suppress(ProcessLookupError, PermissionError):
            if self.process is not None:
                os.killpg(self.process.pid, number)


def rotate(log: Path) -> None:
    """Keep the log of the last run beside the new one, and no older."""
    with suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))
