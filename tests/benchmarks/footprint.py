"""What signals cost beside time: calls to the CRM, and memory that is not given back."""

import statistics
from typing import Any

from tests.benchmarks.product import Product
from tests.benchmarks.rounds import Arena
from tests.benchmarks.workloads import BATCH

SIGNALS = 1000


def reads(arena: Arena, product: Product, deals: int, rounds: int) -> dict[str, Any]:
    """Calls that read from the CRM for a thousand bulk signals about so many deals."""
    counts = []
    for _ in range(rounds):
        traffic = arena.traffic(SIGNALS, per_request=BATCH, act_every=0, deals=deals, change_source="IMPORT")
        counts.append(arena.run(product, traffic, product.webhooks).reads)
    return {"deals": deals, "reads": statistics.median(counts), "least": min(counts), "most": max(counts)}


def warm(arena: Arena, product: Product) -> dict[str, float]:
    """Megabytes of each process once a thousand signals are through."""
    arena.run(product, arena.traffic(SIGNALS, per_request=BATCH, act_every=5), product.webhooks)
    return product.processes.memory()


def worn(arena: Arena, product: Product, signals: int) -> dict[str, float]:
    """The same once the ledger has that many signals."""
    missing = signals - product.signals()
    while missing > 0:
        lot = min(missing, 10_000) // BATCH * BATCH + BATCH
        arena.run(product, arena.traffic(lot, per_request=BATCH, act_every=5), product.webhooks)
        missing -= lot
    return product.processes.memory()
