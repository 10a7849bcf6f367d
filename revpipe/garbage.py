"""How often Python looks for cyclic garbage in a process that runs for days."""

import gc
from typing import Final

YOUNG: Final = 50_000
"""Objects that come and stay before the first look. The usual 700 are reached several times by one chunk, and each
tenth of a tenth look goes over all that is loaded: a quarter of a busy worker's processor time (perf, Python 3.11)."""


def look_rarely() -> None:
    """Leave all that is loaded by now out of every look, and look less often. Called once a process has started.

    Almost nothing of ours lives in cycles, so what waits for a look is little: the benchmark watches the memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
