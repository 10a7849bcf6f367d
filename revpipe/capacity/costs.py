"""What one signal costs, as config/costs.json holds it: processor time, calls to the CRM, bytes in the ledger."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from revpipe.errors import Misconfigured

Json = dict[str, Any]
SHAPES: Final = {
    "single": "webhooks of one event",
    "batch": "webhooks of a hundred events",
    "file": "rows of an intent file",
}
"""How signals arrive; the words of a mix."""
PROCESSES: Final = ("web", "worker", "keeper", "beat", "postgres", "valkey")
"""Whose processor time is counted: the four dynos and the two servers."""
BYTES: Final = ("delivery", "body", "signal", "action", "trail_row", "dead_letters", "counters")
"""A delivery without its body, and the body, trail row, signal or action of one; the last two for each signal."""


@dataclass(frozen=True, slots=True)
class Line:
    """A cost that grows with what comes of a signal: so much for each, and so much more for each action."""

    signal: float
    action: float

    def at(self, acts: float) -> float:
        """For one signal where a share `acts` of all leads to an action."""
        return self.signal + acts * self.action

    @classmethod
    def read(cls, value: Any, where: str) -> Self:
        """Raises Misconfigured unless `value` has both numbers, neither below nought."""
        return cls(_number(value, "signal", where), _number(value, "action", where))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a signal of one shape costs: milliseconds of processor time by process, calls, and bytes of WAL."""

    cpu_ms: Mapping[str, Line]
    reads: Line
    writes: Line
    wal_bytes: Line | None
    """None where the run did not measure it."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Bytes on disk, indexes included, by BYTES, and how many trail rows a signal and an action leave."""

    bytes: Mapping[str, float]
    trail: Line


@dataclass(frozen=True, slots=True)
class Costs:
    """All of it; `measured` says where and how, `assumed` what was not measured and stands in for it.

    `shapes` are of a system that is always busy; `alone` is how many calls to the CRM a signal makes without company.
    """

    measured: Mapping[str, Any]
    assumed: tuple[str, ...]
    shapes: Mapping[str, Shape]
    alone: Line
    ledger: Ledger

    def as_text(self) -> str:
        """The file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def load(text: str, name: str = "costs.json") -> Costs:
    """Read the file's text. Raises Misconfigured naming what is missing or is no number of at least nought."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Misconfigured(f"{name} is no JSON: {error}") from error
    shapes = {shape: _shape(_part(found, "shapes", name), shape, name) for shape in SHAPES}
    ledger = _part(found, "ledger", name)
    sizes = _part(ledger, "bytes", f"{name}: ledger")
    return Costs(
        measured=_part(found, "measured", name),
        assumed=tuple(found.get("assumed") or ()),
        shapes=shapes,
        alone=Line.read(found.get("alone"), f"{name}: alone"),
        ledger=Ledger(
            {kind: _number(sizes, kind, f"{name}: ledger.bytes") for kind in BYTES},
            Line.read(ledger.get("trail"), f"{name}: ledger.trail"),
        ),
    )


def _shape(shapes: Mapping[str, Any], shape: str, name: str) -> Shape:
    where = f"{name}: shapes.{shape}"
    found = _part(shapes, shape, f"{name}: shapes")
    times = _part(found, "cpu_ms", where)
    wal = found.get("wal_bytes")
    return Shape(
        {process: Line.read(times.get(process), f"{where}.cpu_ms.{process}") for process in PROCESSES},
        Line.read(found.get("reads"), f"{where}.reads"),
        Line.read(found.get("writes"), f"{where}.writes"),
        None if wal is None else Line.read(wal, f"{where}.wal_bytes"),
    )


def _part(found: Any, key: str, where: str) -> dict[str, Any]:
    part = found.get(key) if isinstance(found, dict) else None
    if not isinstance(part, dict):
        raise Misconfigured(f"{where}: {key!r} is missing; make the file anew with: make costs")
    return part


def _number(found: Any, key: str, where: str) -> float:
    value = found.get(key) if isinstance(found, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise Misconfigured(f"{where}: {key!r} must be a number, nought or more; make the file anew with: make costs")
    return float(value)
