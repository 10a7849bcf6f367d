"""The same work on a ledger of ten thousand signals and on one of a million."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from revpipe.drill.fleet import environment
from tests.benchmarks import footprint, rounds, workloads
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import BenchError
from tests.benchmarks.product import Product
from tests.benchmarks.rounds import Arena

FEW, MANY = 10_000, 1_000_000
SHAPES: Final = (("single", "mixed"), ("batch", "mixed"))
FILL_SECONDS: Final = 600


@dataclass(frozen=True, slots=True)
class Side:
    """A product with a ledger of its own, and how many signals of the past that is to hold."""

    arena: Arena
    product: Product
    signals: int

    def prepare(self) -> None:
        """Fill the ledger. Raises BenchError."""
        footprint.warm(self.arena, self.product)
        fill(self.arena.ground, self.signals)


def compare(few: Side, many: Side, turns: int, seconds: float) -> dict[str, Any]:
    """Signals a second by workload, with few rows and with many, taking turns. Raises BenchError."""
    for side in (few, many):
        side.prepare()
    return {f"{shape} {ending}": _by_turns(few, many, shape, ending, turns, seconds) for shape, ending in SHAPES}


def _by_turns(few: Side, many: Side, shape: str, ending: str, turns: int, seconds: float) -> dict[str, list[float]]:
    wanted = workloads.wanted(shape, ending)
    sides = {"few": few, "many": many}
    urls = {name: workloads.address(side.product, shape) for name, side in sides.items()}
    sizes = [rounds.size(side.arena, side.product, seconds, wanted, urls[name]) for name, side in sides.items()]
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            traffic = side.arena.traffic(min(sizes), **wanted)
            found[name].append(side.arena.run(side.product, traffic, urls[name]).per_s)
    return found


def fill(ground: Ground, signals: int) -> None:
    """Add signals of the past, all of which have ended, as `revpipe generate` makes them. Raises BenchError."""
    command = [sys.executable, "-m", "revpipe", "generate", "--signals", str(signals), "--open", "0", "--yes", "--json"]
    own = {"DATABASE_URL": ground.lease.database_url, "REDIS_URL": ground.lease.redis_url}
    try:
        done = subprocess.run(
            command, env=environment(own), capture_output=True, text=True, check=False, timeout=FILL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"revpipe generate was not done with {signals} signals in {FILL_SECONDS} s") from error
    if done.returncode:
        raise BenchError(f"revpipe generate failed: {done.stderr[-500:]}")
    _settle(ground)


def _settle(ground: Ground) -> None:
    """Bring the ledger into the state of one that grew in months: sealed, vacuumed, its pages on the disk.

    A million decisions made in three minutes would otherwise be sealed for as many more, beside what is measured.
    """
    with psycopg.connect(ground.postgres, autocommit=True) as connection:
        for statement in ("DELETE FROM unsealed", "VACUUM (ANALYZE)", "CHECKPOINT"):
            connection.execute(statement.encode())
