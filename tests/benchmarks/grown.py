"""The same work on a ledger of ten thousand signals and on one of a million."""

import subprocess
import sys
from typing import Any, Final

import psycopg

from revpipe.drill.fleet import environment
from tests.benchmarks import footprint, rounds, workloads
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import BenchError
from tests.benchmarks.product import Product
from tests.benchmarks.rounds import Arena, Entry

FEW, MANY = 10_000, 1_000_000
SHAPES: Final = (("single", "mixed"), ("batch", "mixed"))
FILL_SECONDS: Final = 600


def compare(arena: Arena, product: Product, ground: Ground, turns: int, seconds: float) -> dict[str, Any]:
    """Signals a second, by workload, with few rows and with many. Raises BenchError if rows can't be made."""
    footprint.warm(arena, product)
    fill(ground, FEW)
    few = _measure(arena, product, turns, seconds)
    fill(ground, MANY - FEW)
    many = _measure(arena, product, turns, seconds)
    return {name: {"few": few[name], "many": many[name]} for name in few}


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


def _measure(arena: Arena, product: Product, turns: int, seconds: float) -> dict[str, list[float]]:
    found = {}
    for shape, ending in SHAPES:
        entry = Entry(product, workloads.address(product, shape), workloads.wanted(shape, ending))
        done = rounds.alternate(arena, [entry], turns, seconds)[product.name]
        found[f"{shape} {ending}"] = [one.per_s for one in done]
    return found
