"""Something that changes rarely and is asked for often, kept in the process for a while."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """The result of `load`, loaded again when older than asked for. Threads that meet wait for one load."""

    def __init__(self, load: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._held: tuple[float, T] | None = None

    def get(self, max_age: float) -> T:
        """The thing, at most `max_age` seconds old. Raises what `load` raises."""
        with self._lock:
            if self._held is None or self._clock() - self._held[0] > max_age:
                self._held = (self._clock(), self._load())
            return self._held[1]
