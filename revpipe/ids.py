"""Ids that sort by time."""

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """A UUID of version 7 (RFC 9562, 5.7): milliseconds since 1970, then a fraction of it, then random bits.

    Ids of one process rise strictly, so that rows of one moment keep the order in which they were made.
    """
    global _last  # noqa: PLW0603
    with _lock:
        # 48 bits of milliseconds and 12 of their fraction, as one number in units of 1/4096 ms.
        _last = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
        ticks = _last
    high = (ticks >> 12) << 16 | 0x7000 | (ticks & 0x0FFF)
    low = (int.from_bytes(os.urandom(8), "big") & (2**62 - 1)) | 2**63
    return uuid.UUID(int=high << 64 | low)
