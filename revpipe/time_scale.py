"""For rehearsals: every wait for a vendor, shortened by one factor, so that a minute stands for an hour.

What is shortened is what we choose to wait: backoff, parking, circuits, and how long work may wait at the most.
Leases, sweeps and rate limits keep their length, because processes and vendors keep theirs.
"""

from datetime import timedelta
from typing import Final

from revpipe.errors import Misconfigured

MOST: Final = 1000.0

_scale = 1.0


def arm(scale: float) -> None:
    """Shorten this process's waits by `scale` (setting REVPIPE_TIME_SCALE); 1 leaves them as they are.

    Raises Misconfigured for what is no number from 1 to 1000.
    """
    global _scale  # noqa: PLW0603
    if not 1 <= scale <= MOST:
        raise Misconfigured(f"REVPIPE_TIME_SCALE must be from 1 to {MOST:.0f}, not {scale}")
    _scale = float(scale)


def seconds(wait: float) -> float:
    """A wait in seconds, shortened."""
    return wait / _scale


def shortened(wait: timedelta) -> timedelta:
    """A wait, shortened."""
    return wait / _scale
