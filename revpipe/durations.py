"""Lengths of time as people write them in our files: 30s, 15m, 4h, 7d."""

import re
from datetime import timedelta
from typing import Any, Final

from revpipe.errors import Misconfigured

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(value: Any, where: str) -> timedelta:
    """Read `15m` and the like. Raises Misconfigured, naming `where`, for anything else."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*([smhd])\s*", str(value))
    if not match:
        raise Misconfigured(f"{where}: {value!r} is no length of time; write a number and s, m, h or d, as in 15m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
