"""Processes that the benchmark starts: ended by their own id however the benchmark ends, and watched while they run."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import psutil

from revpipe import lifeline
from revpipe.local.child import Child

STOP_SECONDS = 20.0


class BenchError(Exception):
    """What keeps the benchmark from measuring; the text says what to do."""


@dataclass(slots=True)
class Group:
    """Processes that belong together, such as a receiver and its workers."""

    folder: Path
    children: list[Child] = field(default_factory=list)
    _lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def add(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start `python -m WORDS`, with its output in a file of this name."""
        child = Child(name, words, self.folder / f"{name}.log")
        self.children.append(child)
        child.start({**environment, lifeline.VARIABLE: str(self._lifeline[0])}, self._lifeline[0])
        return child

    def check(self) -> None:
        """Raise BenchError if a process has ended."""
        for child in self.children:
            if not child.running:
                raise BenchError(f"{child.name} {child.how_it_ended()}. {child.last_words()}")

    def await_words(self, child: Child, words: bytes, seconds: float = 60.0) -> None:
        """Wait until a process has written `words`. Raises BenchError."""
        deadline = monotonic() + seconds
        while not child.wrote(words):
            self.check()
            if monotonic() > deadline:
                raise BenchError(f"{child.name} is not ready after {seconds:.0f} s. {child.last_words()}")
            sleep(0.05)

    def members(self) -> dict[str, list[psutil.Process]]:
        """All processes by the name they were started under, their own children among them."""
        found: dict[str, list[psutil.Process]] = {}
        for child in self.children:
            if child.process is not None and child.running:
                with suppress(psutil.NoSuchProcess):
                    root = psutil.Process(child.process.pid)
                    found[child.name] = [root, *root.children(recursive=True)]
        return found

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time used so far, by name."""
        return {name: sum(map(_cpu, members)) for name, members in self.members().items()}

    def memory(self) -> dict[str, float]:
        """Resident megabytes of the largest process, by name."""
        return {name: max(map(_resident, members)) / 1e6 for name, members in self.members().items()}

    def total_cpu(self) -> float:
        """Processor time used so far, all together."""
        return sum(self.cpu_seconds().values())

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to what is left."""
        for child in self.children:
            child.terminate()
        deadline = monotonic() + STOP_SECONDS
        for child in self.children:
            child.see_off(deadline)
        for end in self._lifeline:
            os.close(end)


@contextmanager
def group(folder: Path) -> Iterator[Group]:
    """An empty group, for the length of a block; at its end everything in it is stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Group(folder)
    try:
        yield made
    finally:
        made.stop()


def tree_cpu(pid: int) -> float:
    """Processor seconds of a process, of its children, and of those children that have ended."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        own = root.cpu_times()
        return float(_cpu(root) + own.children_user + own.children_system + sum(map(_cpu, root.children())))
    return 0.0


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        used = process.cpu_times()
        return float(used.user + used.system)
    return 0.0


def _resident(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        return float(process.memory_info().rss)
    return 0.0
