"""Processes forked from one that has imported all that they need: a start costs a tenth, and memory is shared.

`ForkServer` starts that process, revpipe.local.fork_server, and asks it. It is the parent of what it forks, and tells
of each end. Should it die, what it forked lives on, and the next start makes a new one.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

POSSIBLE: Final = hasattr(os, "pidfd_open")
"""Linux. Elsewhere a fork after imports is not safe (macOS), and each process is started anew."""
NOT_TOLD: Final = 255
"""The exit code of a process whose parent died before it could tell."""
LENGTH_BYTES: Final = 4


class ForkServer:
    """Forks processes on request; `environment` is the server's own, each process gets one with its request."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._heard = b""
        self._pids: deque[int] = deque()
        self._ended: dict[int, int] = {}

    def start(self) -> None:
        """Begin to import; returns at once."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "revpipe.local.fork_server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=self._environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._line, self._heard = ours, b""

    def fork(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], output: int, lifeline: int
    ) -> "Forked":
        """Run `python -m ARGUMENTS` in a session of its own, with its output in the file `output`.

        `name` is what `ps -e` and `top` show. Raises OSError when no process can be had.
        """
        request = {"name": name, "arguments": [*arguments], "environment": {**environment}}
        with self._lock:
            for _ in range(2):
                with contextlib.suppress(OSError):
                    if self._line is None:
                        self.start()
                    self._say(json.dumps(request).encode(), output, lifeline)
                    while not self._pids:
                        self._hear(None)
                    return Forked(self, self._pids.popleft())
                self._give_up()
        raise ChildProcessError(f"{name} could not be started: the process that forks it has died twice")

    def ended(self, pid: int) -> int | None:
        """The exit code of one that it told the end of, as `subprocess` gives it."""
        with self._lock:
            if self._line is not None:
                try:
                    self._hear(0.0)
                except OSError:
                    self._give_up()
            return self._ended.get(pid)

    @property
    def lives(self) -> bool:
        """Whether it can still tell of ends."""
        return self._line is not None

    def close(self) -> None:
        """End it; what it forked lives on."""
        with self._lock:
            self._give_up()

    def _say(self, request: bytes, *files: int) -> None:
        if self._line is None:
            raise ConnectionError
        # The files travel with the first bytes.
        socket.send_fds(self._line, [len(request).to_bytes(LENGTH_BYTES, "big")], files)
        self._line.sendall(request)

    def _hear(self, seconds: float | None) -> None:
        """Take in what it says, waiting up to so long for it. Raises OSError when it is gone."""
        if self._line is None:
            raise ConnectionError
        while select.select([self._line], [], [], seconds)[0]:
            piece = self._line.recv(65_536)
            if not piece:
                raise ConnectionError
            *lines, self._heard = (self._heard + piece).split(b"\n")
            for told in map(json.loads, lines):
                if "forked" in told:
                    self._pids.append(told["forked"])
                else:
                    self._ended[told["ended"]] = told["code"]
            seconds = 0.0

    def _give_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._pids.clear()


@contextmanager
def fork_server(environment: Mapping[str, str]) -> Iterator[ForkServer | None]:
    """One that begins to import at once, for the length of a block; none where that is not possible."""
    if not POSSIBLE:
        yield None
        return
    server = ForkServer(environment)
    server.start()
    try:
        yield server
    finally:
        server.close()


class Forked:
    """A process that a ForkServer forked, with those methods of `subprocess.Popen` that are of use here."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = None

    def __del__(self) -> None:
        if self._handle is not None:
            os.close(self._handle)

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ended(self.pid)
        if self.returncode is None and not self._server.lives and self._gone(0.0):
            self.returncode = NOT_TOLD
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
            if left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            if self._gone(left):
                # Its parent tells in a moment.
                time.sleep(0.002)
        return self.returncode or 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None and self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _gone(self, seconds: float) -> bool:
        return self._handle is None or bool(select.select([self._handle], [], [], seconds)[0])
