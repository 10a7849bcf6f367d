"""Faults on demand: which calls to which vendor go wrong, how, and how often or how long."""

import fnmatch
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

KINDS: Final = (
    "latency",
    "rate_limit",
    "error",
    "close",
    "outage",
    "malformed",
    "timeout_after_effect",
    "late_effect",
    "refusal",
    "truncation",
    "nonsense",
    "wrong_schema",
)
OF_MODELS: Final = KINDS[-4:]
"""Faults of a language model's answer, which its provider's own view acts out."""
_VENDORS: Final = ("hubspot", "gong", "slack", "anthropic", "openai", "*")


@dataclass
class Fault:
    """One fault. `path` is a shell pattern over the path below the vendor's prefix; times are seconds.

    latency               answer `seconds` later
    rate_limit            429 in the vendor's shape; Retry-After only if `retry_after` is set
    error                 `status` (500 by default), nothing done
    close                 the connection is closed, nothing done
    outage                all matching calls answer 503 for `lasts` seconds
    malformed             the effect is done, the JSON answer is cut off in the middle
    timeout_after_effect  the effect is done, then silence for `seconds`, then the connection is closed
    late_effect           the connection is closed after `hang`; the effect follows `seconds` after the call

    refusal               (language models) the model declines, with status 200
    truncation            (language models) the answer is cut off at the limit of tokens
    nonsense              (language models) words where JSON was asked for
    wrong_schema          (language models) JSON of another schema

    `count` calls are hit, None for all; the first `skip` matching calls pass; `lasts` ends it by time.
    """

    vendor: str
    kind: str
    path: str = "*"
    method: str = "*"
    count: int | None = None
    skip: int = 0
    lasts: float | None = None
    seconds: float = 0.0
    hang: float = 0.0
    status: int = 500
    retry_after: float | None = None
    hits: int = 0
    set_at: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are: {', '.join(KINDS)}")
        if self.vendor not in _VENDORS:
            raise ValueError(f"no vendor is called {self.vendor!r}; there are: {', '.join(_VENDORS)}")
        if self.kind == "outage" and self.lasts is None:
            raise ValueError("an outage needs `lasts`, in seconds")

    def matches(self, vendor: str, method: str, path: str, now_ms: int) -> bool:
        """Whether a call at this time is meant, its count and time not yet used up."""
        if self.lasts is not None and now_ms >= self.set_at + self.lasts * 1000:
            return False
        if self.count is not None and self.hits >= self.count:
            return False
        return self.vendor in ("*", vendor) and self.method in ("*", method) and fnmatch.fnmatchcase(path, self.path)


class Faults:
    """The faults that are set, first come first served."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._set: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, described: Mapping[str, Any]) -> Fault:
        """Set a fault from its JSON. Raises ValueError for an unknown field, kind or vendor."""
        known = {item.name for item in fields(Fault)} - {"hits", "set_at"}
        unknown = sorted(set(described) - known)
        if unknown or not {"vendor", "kind"} <= set(described):
            raise ValueError(f"a fault has vendor, kind and optionally {', '.join(sorted(known))}; not {unknown}")
        fault = Fault(**described, set_at=self._now())
        with self._lock:
            self._set.append(fault)
        return fault

    def take(self, vendor: str, method: str, path: str) -> Fault | None:
        """The fault that this call meets, counted, or None."""
        with self._lock:
            for fault in self._set:
                if not fault.matches(vendor, method, path, self._now()):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.hits += 1
                return fault
        return None

    def list(self) -> list[dict[str, Any]]:
        """All faults, spent ones too, with how often each has hit."""
        with self._lock:
            return [asdict(fault) for fault in self._set]

    def clear(self) -> None:
        """Make all well."""
        with self._lock:
            self._set.clear()
