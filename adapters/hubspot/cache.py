"""Something that changes rarely and is asked for often, kept in the process for a while."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")
MAX_AGE: Final = 300.0
UNKNOWN_MAX_AGE: Final = 60.0
"""What a list does not name may be new: then a list older than this is read again."""


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


def knowing(cached: Cached[Mapping[K, V]], keys: Iterable[K]) -> Mapping[K, V]:
    """A list that knows `keys`, unless the vendor does not know them either."""
    held = cached.get(MAX_AGE)
    return held if held.keys() >= set(keys) else cached.get(UNKNOWN_MAX_AGE)
