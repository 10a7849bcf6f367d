"""Rounds: one system works one lot of signals from the first request to the last end; systems take turns."""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from tests.benchmarks.ground import Ground
from tests.benchmarks.load import Load, Sent
from tests.benchmarks.processes import BenchError, Group
from tests.benchmarks.system import System
from tests.benchmarks.vendor import Vendor
from tests.benchmarks.webhooks import Traffic

LOOK_SECONDS: Final = 0.02
PATIENCE: Final = 120.0
TRIALS: Final = 5
"""How often the size of a round is guessed anew at the most."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round. `cpu` is processor seconds by process, the servers' among them; `reads` and `writes` are calls to the
    CRM, `wal_bytes` what PostgreSQL wrote to its log.

    The shares are of all processor time that the machine used meanwhile: the vendors', the sending process's, and that
    of whatever else runs on this machine and has nothing to do with the benchmark.
    """

    system: str
    signals: int
    seconds: float
    per_s: float
    accepted_per_s: float
    answers_ms: tuple[float, float]
    reads: int
    writes: int
    wal_bytes: int
    vendor_share: float
    load_share: float
    foreign_share: float
    cpu: dict[str, float]


@dataclass(frozen=True, slots=True)
class Entry:
    """Who takes part in a comparison: a system, the address it is sent to, and the traffic."""

    system: System
    url: str
    wanted: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The system's name."""
        return self.system.name


@dataclass(slots=True)
class Arena:
    """What all systems share; `numbers` makes every signal a new one, `watched` are all systems, at rest or not."""

    ground: Ground
    vendor: Vendor
    load: Load
    numbers: "itertools.count[int]"
    watched: list[Group] = field(default_factory=list)

    def traffic(self, signals: int, **wanted: Any) -> Traffic:
        """Traffic about deals that no earlier run was about."""
        return Traffic(signals, first=next(self.numbers) * 1_000_000, **wanted)

    def run(self, one: System, traffic: Traffic, url: str) -> Round:
        """Send it all, wait for the last end, and count what arrived. Raises BenchError if that is not right."""
        self.vendor.reset()
        self.load.prepare(traffic, url)
        before, machine, wal = self._used(one), _machine(), self.ground.wal_bytes()
        self.load.begin()
        sent = self.load.wait()
        ended = self.await_end(one, traffic, sent)
        busy = max(1e-9, _machine() - machine)
        used = {name: seconds - before.get(name, 0.0) for name, seconds in self._used(one).items()}
        wal = self.ground.wal_bytes() - wal
        self.check_effects(traffic)
        calls = self.vendor.stats()
        seconds = ended - sent.began
        resting = used.pop("resting")
        vendor_share, load_share = used.pop("vendors") / busy, sent.cpu_s / busy
        return Round(
            system=one.name,
            signals=traffic.signals,
            seconds=seconds,
            per_s=traffic.signals / seconds,
            accepted_per_s=sent.accepted_per_s,
            answers_ms=(1000 * quantile(sent.seconds, 0.5), 1000 * quantile(sent.seconds, 0.99)),
            reads=calls["reads"],
            writes=calls["writes"],
            wal_bytes=wal,
            vendor_share=vendor_share,
            load_share=load_share,
            foreign_share=max(0.0, 1 - (sum(used.values()) + resting) / busy - vendor_share - load_share),
            cpu={name: round(value, 2) for name, value in used.items()},
        )

    def _used(self, one: System) -> dict[str, float]:
        """Processor seconds so far, by name; `resting` are the systems whose turn it is not."""
        resting = sum(other.total_cpu() for other in self.watched if other is not one.processes)
        own = {**one.processes.cpu_seconds(), **self.ground.cpu_seconds()}
        return {**own, "vendors": float(self.vendor.stats()["cpu_s"]), "resting": resting + time.process_time()}

    def await_end(self, one: System, traffic: Traffic, sent: Sent, patience: float = PATIENCE) -> float:
        """When the last signal ended. Raises BenchError if it does not, or a process has died meanwhile."""
        deadline = time.monotonic() + patience
        while True:
            stats = self.vendor.stats()
            if stats["effects"] >= traffic.effects:
                ended = one.ended(traffic, sent.began, self.vendor)
                if ended is not None:
                    return ended
            one.processes.check()
            if time.monotonic() > deadline:
                raise BenchError(f"{one.name}: {stats['effects']} of {traffic.effects} effects after {patience:.0f} s")
            time.sleep(LOOK_SECONDS)

    def check_effects(self, traffic: Traffic) -> None:
        """Raise BenchError unless every deal that should have a task has one, once."""
        arrived = self.vendor.effects()
        wanted = traffic.acting()
        twice = sum(len(times) > 1 for times in arrived.values())
        if set(arrived) != wanted or twice:
            raise BenchError(
                f"effects for {len(arrived)} deals instead of {len(wanted)}, {twice} of them more than one"
            )


def alternate(
    arena: Arena,
    entries: Sequence[Entry],
    rounds: int,
    seconds: float,
    also: Sequence[Callable[[], object]] = (),
) -> dict[str, list[Round]]:
    """`rounds` rounds of each entry by turns, each of about `seconds`, after some to warm up and to find the size.

    `also` are further things that take a turn each time.
    """
    sizes = {entry.name: size(arena, entry.system, seconds, entry.wanted, entry.url) for entry in entries}
    done: dict[str, list[Round]] = {entry.name: [] for entry in entries}
    for _ in range(rounds):
        for entry in entries:
            traffic = arena.traffic(sizes[entry.name], **entry.wanted)
            done[entry.name].append(arena.run(entry.system, traffic, entry.url))
        for other in also:
            other()
    return done


def size(arena: Arena, one: System, seconds: float, wanted: Mapping[str, Any], url: str) -> int:
    """How many signals keep a system busy for so long, in whole requests; never so few that the start weighs most."""
    step = int(wanted.get("per_request", 1))
    least = 4 * step if step > 1 else 60
    # The first is to warm up: connections are opened, caches filled, statements prepared.
    arena.run(one, arena.traffic(least // 2, **wanted), url)
    found = least
    for _ in range(TRIALS):
        tried = arena.run(one, arena.traffic(found, **wanted), url)
        found = max(least, round(tried.per_s * seconds / step) * step)
        # A short trial says little about a long one: a system that works in batches is at its slowest there.
        if tried.seconds > 0.6 * seconds:
            break
    return found


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; of few values the extremes stand in for the outer ones."""
    if len(values) < 4:
        return min(values), statistics.median(values), max(values)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the sorted values do not exceed; 0.0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _machine() -> float:
    """Processor seconds that the whole machine has used."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.softirq + times.irq)
