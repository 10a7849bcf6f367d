"""What a rehearsal is asked to do, and what came of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from revpipe.drill.reckoning import Reckoning
from revpipe.drill.schedule import Attack

SECONDS_FOR: Final = 0.04
"""How long the attacks last for each signal, beyond the first half minute: the vendors' rates allow no more."""


@dataclass(frozen=True, slots=True)
class Wish:
    """One rehearsal. `seconds` is how long signals flow and attacks come, about one every `every` seconds.

    `attacks` replaces the schedule that the seed makes. `extra` is environment for revpipe's processes, on top of
    what the rehearsal sets. `patience` is how long nothing may move until what is open counts as stuck, `limit`
    how long the end is waited for at the most. `workers` is how many there are of each kind.
    """

    seed: int = 1
    signals: int = 200
    seconds: float = 30.0
    every: float = 1.6
    lease: float = 4.0
    time_scale: float = 10.0
    workers: int = 2
    keepers: int = 2
    beat: bool = True
    pace: float = 0.02
    patience: float = 45.0
    limit: float = 600.0
    attacks: tuple[Attack, ...] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Blow:
    """One attack as it was, `at` seconds after the first: how many claimed rows it hit, and what it struck."""

    at: float
    kind: str
    rows: int
    on: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the count, every attack as it was, and the command that plays it again."""

    seed: int
    count: Reckoning
    blows: Sequence[Blow]
    seconds: float
    again: str
    kept: Path | None = None

    @property
    def attacks(self) -> dict[str, tuple[int, int]]:
        """For each kind of attack how many there were and how many of them hit claimed work."""
        count = Counter(blow.kind for blow in self.blows)
        hits = Counter(blow.kind for blow in self.blows if blow.rows)
        return {kind: (number, hits[kind]) for kind, number in sorted(count.items())}

    @property
    def hits(self) -> int:
        """How many attacks hit claimed work."""
        return sum(1 for blow in self.blows if blow.rows)


def usual_seconds(signals: int) -> float:
    """How long the attacks of a rehearsal with so many signals last."""
    return 30.0 + max(0, signals - 200) * SECONDS_FOR
