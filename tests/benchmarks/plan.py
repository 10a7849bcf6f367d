"""How much is measured: a full run stays below 15 minutes, a quick one below two."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts and seconds. `contests` are the workloads in which systems take turns."""

    name: str
    rounds: int
    seconds: float
    contests: tuple[tuple[str, str], ...]
    bare_chains: int
    idle_samples: int
    bulk: int
    urgent_samples: int
    steady_seconds: float
    flood_seconds: float
    read_rounds: int
    worn_signals: int
    growth_rounds: int
    limit: int
    """Seconds after which the run gives up."""


FULL: Final = Plan(
    name="full",
    rounds=7,
    seconds=4.0,
    contests=(("single", "act"), ("single", "mixed"), ("batch", "mixed"), ("file", "mixed")),
    bare_chains=400,
    idle_samples=200,
    bulk=50_000,
    urgent_samples=100,
    steady_seconds=4.0,
    flood_seconds=12.0,
    read_rounds=3,
    worn_signals=100_000,
    growth_rounds=7,
    limit=1500,
)
QUICK: Final = Plan(
    name="quick",
    rounds=2,
    seconds=1.0,
    contests=(("single", "act"), ("single", "mixed"), ("batch", "mixed"), ("file", "mixed")),
    bare_chains=100,
    idle_samples=16,
    bulk=2_000,
    urgent_samples=20,
    steady_seconds=1.5,
    flood_seconds=4.0,
    read_rounds=1,
    worn_signals=0,
    growth_rounds=0,
    limit=300,
)
