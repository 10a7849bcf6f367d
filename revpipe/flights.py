"""What a thread of this process is asking vendors for right now: another that needs the same waits instead of asking.

An edit of many records tells of each several times, within seconds. The cache knows nothing of them yet when their
signals come to several threads at once.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from typing import Final

from revpipe.ports import Part

PATIENCE_SECONDS: Final = 5.0
"""How long another's answer is waited for; whoever waited for nothing asks then."""


class Flight:
    """One key that is asked about: the parts that came of it, once it has landed."""

    __slots__ = ("landed", "parts")

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.landed = Event()


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one chunk: those that its thread has to ask about, and those that another is asking about."""

    own: Mapping[str, Flight]
    others: Mapping[str, Flight]

    def land(self) -> None:
        """Let those who wait for our own go on, with what these hold by now."""
        for flight in self.own.values():
            flight.landed.set()

    def wait(self, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until all others have landed, or for as long as that. Our own have to land first: two that waited for
        each other's would both lose their patience.
        """
        until = time.monotonic() + patience
        for flight in self.others.values():
            flight.landed.wait(max(0.0, until - time.monotonic()))


class Flights:
    """All of one process. Nothing hangs on it: a key that nobody told anything of is asked about once more."""

    def __init__(self) -> None:
        self._known: dict[str, Flight] = {}
        self._lock = Lock()

    @contextmanager
    def begin(self, keys: Iterable[str]) -> Iterator[Keys]:
        """Sort `keys`. The caller's own are known to others until the end of the block, by when what was learned should
        be in the cache; they land with it at the latest, however it ends.
        """
        with self._lock:
            wanted = set(keys)
            others = {key: self._known[key] for key in wanted if key in self._known}
            own = {key: Flight() for key in wanted if key not in others}
            self._known |= own
        sorted_keys = Keys(own, others)
        try:
            yield sorted_keys
        finally:
            with self._lock:
                for key in own:
                    del self._known[key]
            sorted_keys.land()
