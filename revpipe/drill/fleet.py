"""The processes of a rehearsal: all of revpipe, more than one of each that may be doubled, and the vendors."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from config.settings import Settings
from revpipe import lifeline
from revpipe.errors import Misconfigured
from revpipe.local.child import Child
from revpipe.local.forking import ForkServer, fork_server
from revpipe.local.readiness import Readiness
from revpipe.work import worker_name

AGAIN_SECONDS: Final = 0.3
"""A process that was killed is started again at once: how a platform waits is not what is rehearsed."""
KEPT: Final = ("GONG_COMPETITOR_TRACKERS",)
"""Of the user's settings only what decides something: no address and no key of theirs may reach a rehearsal."""
KINDS: Final = ("web", "worker", "keeper", "beat")
_NOT_OURS: Final = ({item.name.upper() for item in fields(Settings)} | {"PORT", "WEB_CONCURRENCY"}) - set(KEPT)


@dataclass(slots=True)
class Fleet:
    """What runs. `frozen` are processes that were stopped by a signal and are to go on later."""

    environment: Mapping[str, str]
    logs: Path
    forks: ForkServer | None = None
    children: list[Child] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    _lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def add(self, name: str, *arguments: str) -> Child:
        """Start one process, tied to the life of this one."""
        child = Child(name, arguments, self.logs / f"{name}.log")
        self.children.append(child)
        self._start(child)
        return child

    def tend(self) -> None:
        """Start again what has died. Raises Misconfigured if the vendors have: they are no target."""
        now = time.monotonic()
        for child in self.children:
            if child.running:
                continue
            if child.name == "sandbox":
                raise Misconfigured(f"the simulated vendors {child.how_it_ended()}. {child.last_words()}")
            if child.again_at is None:
                child.bury()
                child.again_at = now + AGAIN_SECONDS
            elif now >= child.again_at:
                self.frozen.discard(child.name)
                self._start(child)

    def targets(self, kind: str) -> list[Child]:
        """The running processes of a kind that are not frozen."""
        return [one for one in self.children if kind_of(one) == kind and one.running and one.name not in self.frozen]

    def worker(self, name: str) -> Child | None:
        """The process that calls itself `name` in the ledger, if it is one of ours, runs and is not frozen."""
        host = worker_name().rpartition(":")[0]
        for child in self.targets("worker"):
            if child.process is not None and name == f"{host}:{child.process.pid}":
                return child
        return None

    def freeze(self, child: Child) -> None:
        """SIGSTOP: it is there, and does nothing."""
        self.frozen.add(child.name)
        self._signal(child, signal.SIGSTOP)

    def thaw(self, child: Child) -> None:
        """SIGCONT."""
        self.frozen.discard(child.name)
        self._signal(child, signal.SIGCONT)

    def kill(self, child: Child) -> None:
        """SIGKILL, with all that it started."""
        self.frozen.discard(child.name)
        self._signal(child, signal.SIGKILL)

    def thaw_all(self) -> None:
        """Let everything go on."""
        for child in self.children:
            if child.name in self.frozen:
                self.thaw(child)

    def stop(self) -> None:
        """End all at once: all is counted, and a folder that is about to go needs no farewell."""
        for child in self.children:
            self.kill(child)
            child.see_off(time.monotonic())
        for end in self._lifeline:
            os.close(end)

    def _start(self, child: Child) -> None:
        child.start({**self.environment, lifeline.VARIABLE: str(self._lifeline[0])}, self._lifeline[0], self.forks)

    def _signal(self, child: Child, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if child.process is not None:
                os.killpg(child.process.pid, number)


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without any setting of the user's that is an address or a key, and with `ours`."""
    rest = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
    return {**rest, **ours}


def kind_of(child: Child) -> str:
    """web, worker, keeper, beat or sandbox."""
    return child.name.partition("-")[0]


@contextmanager
def sailing(ours: Mapping[str, str], logs: Path) -> Iterator[Fleet]:
    """An empty fleet, for the length of a block; at its end everything is stopped."""
    logs.mkdir(parents=True, exist_ok=True)
    given = environment(ours)
    with fork_server(given) as forks:
        fleet = Fleet(given, logs, forks)
        try:
            yield fleet
        finally:
            fleet.stop()


def await_all(fleet: Fleet, engine: Any, url: str, sandbox: str) -> None:
    """Wait until every process has answered. Raises Misconfigured with the log of one that does not."""
    readiness = Readiness(engine, url, sandbox)
    # One keeper of two has the duty; that either works is what can be seen.
    asked = [child for child in fleet.children if child.name != "keeper-2"]
    while waiting := readiness.missing(asked):
        failed = [child for child in fleet.children if not child.running] or waiting[:1] * readiness.late
        if failed:
            raise Misconfigured(f"{failed[0].name} {failed[0].how_it_ended()}. {failed[0].last_words()}")
        time.sleep(0.1)
