"""How Python itself runs in a process that works for days, in several threads."""

import ctypes
import gc
import sys
from contextlib import suppress
from typing import Final

YOUNG: Final = 50_000
"""Objects that come and stay before the first look for cyclic garbage. The usual 700 are reached several times by one
chunk, and each tenth of a tenth look goes over all that is loaded: a quarter of a busy worker's processor time (perf,
Python 3.11)."""
TURN_SECONDS: Final = 0.001
"""How long a thread that computes keeps Python's lock while others want it. A thread that waits for a vendor or the
ledger wants it back a hundred times for one signal; at the usual 5 ms a signal that came while its worker sealed took
nearly half a second more."""
ARENAS: Final = 2
"""Areas that glibc takes memory from, where each thread of eight would otherwise have its own, and keep it: only one of
them runs at a time."""
_M_ARENA_MAX: Final = -8


def settle() -> None:
    """All of it. Called once a process has started, before its threads begin to work."""
    look_rarely()
    sys.setswitchinterval(TURN_SECONDS)
    with suppress(OSError, AttributeError):
        # Other C libraries than glibc know nothing of it, and need not.
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS)


def look_rarely() -> None:
    """Leave all that is loaded by now out of every look for garbage, and look less often.

    Almost nothing of ours lives in cycles, so what waits for a look is little: the benchmark watches the memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
