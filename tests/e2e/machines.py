"""Machines that are none: network namespaces, each with a loopback and an address of its own, joined by a bridge.

They have no name in the system. A namespace lasts as long as a file or a process of it (network_namespaces(7)), and its
links with it, so nothing is left behind however the test ends. What a thread opens or starts while it is inside a
namespace belongs there (setns(2)).
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from revpipe import lifeline
from revpipe.local.child import Child
from tests.e2e.processes import environment, until

_NEWNET: Final = 0x40000000
"""CLONE_NEWNET; os.unshare and os.setns came with Python 3.12."""
_OWN: Final = "/proc/thread-self/ns/net"
MIDDLE: Final = "10.77.0.1"
"""Where the servers and the vendors are, as the machines see it."""


def lacking() -> str:
    """Why this computer can't make such machines, empty if it can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if not shutil.which("ip"):
        return "the command ip is missing; Debian: apt-get install iproute2"
    try:
        with Namespace.made() as made:
            made.ip("link", "add", "name", "br0", "type", "bridge")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no namespace with a bridge can be made here: {error}"
    return ""


def _syscall(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Namespace:
    """One network namespace, kept by an open file."""

    def __init__(self, file: int) -> None:
        self._file = file

    @classmethod
    @contextmanager
    def made(cls) -> Iterator["Namespace"]:
        """A new one, with its loopback up, for the length of a block. Raises OSError where that is not allowed."""
        home = os.open(_OWN, os.O_RDONLY)
        try:
            _syscall("unshare", _NEWNET)
            try:
                made = cls(os.open(_OWN, os.O_RDONLY))
            finally:
                _syscall("setns", home, _NEWNET)
        finally:
            os.close(home)
        try:
            made.ip("link", "set", "lo", "up")
            yield made
        finally:
            os.close(made._file)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and what it opens and starts, is in the namespace for the length of a block."""
        home = os.open(_OWN, os.O_RDONLY)
        _syscall("setns", self._file, _NEWNET)
        try:
            yield
        finally:
            _syscall("setns", home, _NEWNET)
            os.close(home)

    @property
    def path(self) -> str:
        """By which `ip` finds it."""
        return f"/proc/{os.getpid()}/fd/{self._file}"

    def ip(self, *words: str) -> None:
        """Run `ip` inside. Raises CalledProcessError."""
        with self.inside():
            subprocess.run(["ip", *words], check=True, capture_output=True, text=True)

    def processes(self) -> list[psutil.Process]:
        """All that run inside, but this one."""
        here = os.fstat(self._file).st_ino
        return [one for one in psutil.process_iter() if one.pid != os.getpid() and _network_of(one.pid) == here]


def _network_of(pid: int) -> int:
    with suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    return 0


@dataclass
class Machine:
    """A namespace with an address on the bridge, and what runs there; `logs` takes what its processes say."""

    name: str
    address: str
    place: Namespace
    logs: Path
    children: dict[str, Child] = field(default_factory=dict)
    _lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def start(self, name: str, settings: Mapping[str, str], *words: str) -> Child:
        """Start `revpipe WORDS` here; it ends with this process, too."""
        child = Child(name, ("revpipe", *words), self.logs / f"{self.name}-{name}.log")
        with self.place.inside():
            child.start({**environment(settings), lifeline.VARIABLE: str(self._lifeline[0])}, self._lifeline[0])
        self.children[name] = child
        return child

    def pid(self, name: str) -> int:
        """Of one that was started here."""
        process = self.children[name].process
        assert process is not None
        return process.pid

    def await_words(self, name: str, words: bytes) -> None:
        """Wait until a process has said `words`."""
        child = self.children[name]

        def said() -> bool:
            assert child.running, f"{self.name}: {name} {child.how_it_ended()}. {child.last_words()}"
            return child.wrote(words)

        until(said, f"{words!r} of {name} on machine {self.name}")

    def lose(self) -> None:
        """SIGKILL to whatever runs here."""
        for one in self.place.processes():
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        for child in self.children.values():
            assert child.process is not None
            child.process.wait(30)
        until(lambda: not self.place.processes(), f"the end of all processes on machine {self.name}")


@dataclass(frozen=True)
class Network:
    """A bridge in a namespace of its own, at MIDDLE, and the machines on it."""

    middle: Namespace
    machines: Sequence[Machine]

    def unplug(self, machine: Machine) -> None:
        """Pull the machine's cable: nobody hears of it again, nor that its connections have ended."""
        self.middle.ip("link", "set", f"to-{machine.name}", "down")


@contextmanager
def network(names: Sequence[str], logs: Path) -> Iterator[Network]:
    """Machines of these names for the length of a block; at its end all that runs on them is killed."""
    with ExitStack() as stack:
        middle = stack.enter_context(Namespace.made())
        middle.ip("link", "add", "name", "br0", "type", "bridge")
        middle.ip("address", "add", f"{MIDDLE}/24", "dev", "br0")
        middle.ip("link", "set", "br0", "up")
        machines = [stack.enter_context(_machine(name, at, middle, logs)) for at, name in enumerate(names, 2)]
        yield Network(middle, machines)


@contextmanager
def _machine(name: str, at: int, middle: Namespace, logs: Path) -> Iterator[Machine]:
    with Namespace.made() as place:
        middle.ip("link", "add", "name", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", place.path)
        middle.ip("link", "set", f"to-{name}", "master", "br0", "up")
        made = Machine(name, f"10.77.0.{at}", place, logs)
        place.ip("address", "add", f"{made.address}/24", "dev", "eth0")
        place.ip("link", "set", "eth0", "up")
        try:
            yield made
        finally:
            made.lose()
            for end in made._lifeline:
                os.close(end)
