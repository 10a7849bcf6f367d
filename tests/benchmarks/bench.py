"""The benchmark: `python -m tests.benchmarks.bench` (make bench), with --quick for a look (make bench-quick).

The product and its peers take turns on one machine, with one PostgreSQL, one Valkey, one vendors' process and one
sending process for all. Ratios within a run count; absolute figures say more about the machine. Everything listens on
127.0.0.1, in a temporary folder, and is ended with this process however it ends.
"""

import argparse
import itertools
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console

from tests.benchmarks import footprint, ground, grown, latency, load, page, product, report, rounds, vendor, workloads
from tests.benchmarks.many_rules import measure as many_rules
from tests.benchmarks.peers import bare_chain, celery_pipeline, dbos_pipeline
from tests.benchmarks.plan import FULL, QUICK, Plan
from tests.benchmarks.processes import BenchError
from tests.benchmarks.rounds import Arena, Entry
from tests.benchmarks.system import System

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
Json = dict[str, Any]


@dataclass(slots=True)
class Bench:
    """One run: who takes part, and what was found so far."""

    plan: Plan
    arena: Arena
    product: product.Product
    celery: System
    dbos: System
    bare: bare_chain.BareChain
    say: Callable[[str], None]
    found: Json

    def measure(self) -> None:
        """Everything that needs all systems, the product's own figures last."""
        plan = self.plan
        memory = footprint.warm(self.arena, self.product)
        self.found["contests"] = {}
        for shape, ending in plan.contests:
            self._contest(shape, ending)
        self.say("from request to effect, idle")
        self.found["idle"] = {
            one.name: latency.idle(self.arena, one, plan.idle_samples) for one in (self.product, self.celery)
        }
        self._steady()
        self.say("calls to the CRM")
        self.found["reads"] = [footprint.reads(self.arena, self.product, n, plan.read_rounds) for n in (1000, 250)]
        self._crowded()
        self.say("rules, as many as there may be")
        self.found["rules"] = many_rules()
        if plan.worn_signals:
            self.say(f"memory after {plan.worn_signals} signals")
            after = footprint.worn(self.arena, self.product, plan.worn_signals)
            self.found["memory_mb"] = {name: [memory[name], after[name]] for name in after}
        self.found["put_off"] = self.product.held_up()

    def _contest(self, shape: str, ending: str) -> None:
        self.say(f"{shape}, {ending}: by turns")
        first = (shape, ending) == self.plan.contests[0]
        entries = [self._entry(self.product, shape, ending), self._entry(self.celery, shape, ending)]
        bare: list[float] = []
        if first:
            entries.append(self._entry(self.dbos, shape, ending))
            self.bare.rate(self.plan.bare_chains // 4)
        after = [lambda: bare.append(self.bare.rate(self.plan.bare_chains))] if first else []
        done = rounds.alternate(self.arena, entries, self.plan.rounds, self.plan.seconds, after)
        self.found["contests"][f"{shape} {ending}"] = {
            name: [asdict(one) for one in each] for name, each in done.items()
        }
        if first:
            self.found["bare_chain_per_s"] = bare

    def _entry(self, one: System, shape: str, ending: str) -> Entry:
        # A peer has no door for files: what they hold comes to it as webhooks of a hundred events.
        seen = "batch" if shape == "file" and one is not self.product else shape
        return Entry(one, workloads.address(one, seen), workloads.wanted(seen, ending))

    def _steady(self) -> None:
        self.say("answers at 70 % of the most")
        self.found["answers"] = {}
        for one in (self.product, self.celery):
            most = median(each["accepted_per_s"] for each in self.found["contests"]["single act"][one.name])
            self.found["answers"][one.name] = latency.answers(self.arena, one, 0.7 * most, self.plan.steady_seconds)

    def _crowded(self) -> None:
        plan = self.plan
        self.say(f"immediate signals while {plan.bulk} bulk ones wait")
        urgent = latency.urgent_behind_bulk(self.arena, self.product, plan.bulk, plan.urgent_samples)
        self.found["urgent_behind_bulk"] = urgent
        self.say("low signals under a flood")
        worked = median(each["per_s"] for each in self.found["contests"]["batch mixed"][self.product.name])
        self.found["low_under_flood"] = latency.low_under_flood(
            self.arena, self.product, 2 * worked, plan.flood_seconds
        )


def run(plan: Plan, say: Callable[[str], None], found: Json, *, growing: bool) -> None:
    """Measure all of a plan into `found`. Raises BenchError for whatever keeps it from being measured."""
    began, at = time.monotonic(), datetime.now(UTC)
    with ExitStack() as stack:
        base, arena = _stage(stack)
        say("starting the product and its peers")
        ours = stack.enter_context(product.running(base, arena.vendor))
        celery = stack.enter_context(celery_pipeline.running(base, arena.vendor))
        dbos = stack.enter_context(dbos_pipeline.running(base, arena.vendor))
        bare = stack.enter_context(bare_chain.running(base))
        arena.watched = [one.processes for one in (ours, celery, dbos, bare)]
        Bench(plan, arena, ours, celery, dbos, bare, say, found).measure()
    if growing and plan.growth_rounds:
        with ExitStack() as stack:
            say(f"a ledger of {grown.FEW} signals beside one of {grown.MANY}")
            few, many = (_side(stack, signals) for signals in (grown.FEW, grown.MANY))
            found["growth"] = grown.compare(few, many, plan.growth_rounds, plan.seconds)
    found["about"] = _about(plan, at, time.monotonic() - began)


def _stage(stack: ExitStack) -> tuple[ground.Ground, Arena]:
    base = stack.enter_context(ground.prepared())
    side = stack.enter_context(vendor.running(base.folder / "vendor"))
    return base, Arena(base, side, stack.enter_context(load.running()), itertools.count(1))


def _side(stack: ExitStack, signals: int) -> grown.Side:
    base, arena = _stage(stack)
    return grown.Side(arena, stack.enter_context(product.running(base, arena.vendor)), signals)


def _about(plan: Plan, at: datetime, seconds: float) -> Json:
    return {
        "plan": plan.name,
        "at": at.isoformat(timespec="seconds"),
        "took_s": round(seconds),
        "processors": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "python": platform.python_version(),
        "rounds": plan.rounds,
        "round_s": plan.seconds,
        "load_before": os.getloadavg()[2],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, show the table of targets, and write JSON and page; 1 if it could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, below two minutes")
    parser.add_argument("--no-growth", action="store_true", help="without the ledger of a million signals")
    parser.add_argument("--out", type=Path, help="folder for JSON and page; docs/benchmarks for a full run")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else FULL
    console, found = Console(), Json()
    out = options.out or (None if options.quick else DOCS)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(plan.limit)
    try:
        run(plan, _narrator(console), found, growing=not options.no_growth)
    except BenchError as error:
        console.print(f"[red]not measured:[/] {error}", highlight=False)
        _keep(found, console)
        return 1
    finally:
        signal.alarm(0)
    report.show(console, found)
    if out:
        page.write(out, found)
        console.print(f"written to {out}")
    return 0


def _keep(found: Json, console: Console) -> None:
    """What was measured until it broke off is a quarter of an hour's work: it goes to a file of its own."""
    if found:
        with tempfile.NamedTemporaryFile("w", prefix="bench-", suffix=".json", delete=False) as file:
            json.dump(found, file, default=str)
        console.print(f"what was measured until then: {file.name}", highlight=False)


def _narrator(console: Console) -> Callable[[str], None]:
    began = time.monotonic()
    return lambda word: console.print(f"[dim]{time.monotonic() - began:4.0f} s  {word} …", highlight=False)


def _stop(*_: object) -> None:
    sys.exit("told to stop")


def _too_long(*_: object) -> None:
    raise BenchError("it took far too long")


if __name__ == "__main__":
    sys.exit(main())
