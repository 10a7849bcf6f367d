"""The calculation: a wanted volume and measured costs in; dynos, connections, disk, vendor calls and limits out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from revpipe.capacity.connections import HELD, WORKER_THREADS
from revpipe.capacity.costs import BYTES, Costs, Line, Shape
from revpipe.capacity.wanted import Wanted
from revpipe.gate import Rate, limits
from revpipe.retention import Retention

MONTH_DAYS: Final = 30
PER_DELIVERY: Final = {"single": 1, "batch": 100, "file": 2000}
"""Signals of one delivery; a file goes in by batches of rows (adapters/bombora/source.py)."""
DYNOS: Final = ("web", "worker", "keeper", "beat")
_FOUND_TOGETHER: Final = 100
"""Domains that one search may ask for (HubSpot docs, search), each in the worst case of a row of its own."""
ALONE: Final = ("keeper", "beat")
"""One of these does the work; a second would only stand by, or double it."""


@dataclass(frozen=True, slots=True)
class Dynos:
    """One kind. `carries` is signals a second of one dyno that is full, `busy` how full each is in the busiest hour."""

    kind: str
    count: int
    carries: float | None
    busy: float
    bound_by: str
    database: int
    redis: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One kind of record: gigabytes that a month adds, and those there are once retention takes as much as comes."""

    kind: str
    month_gb: float
    days: int | None
    kept_gb: float | None


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that can be full. `used` is how full it is with the volume wanted; it is full at the other two."""

    name: str
    used: float
    per_second: float | None
    per_day: float | None
    unit: str
    load: float
    most: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a volume needs; `limits` begins with the one that is full first."""

    per_second: float
    actions_per_second: float
    dynos: tuple[Dynos, ...]
    database_connections: int
    redis_connections: int
    kept: tuple[Kept, ...]
    wal_gb_per_day: float | None
    limits: tuple[Limit, ...]

    @property
    def first(self) -> Limit:
        """The first bottleneck."""
        return self.limits[0]

    def dyno(self, kind: str) -> Dynos:
        """The dynos of one kind."""
        return next(one for one in self.dynos if one.kind == kind)


@dataclass(frozen=True, slots=True)
class _Each:
    """What one signal of the mix costs."""

    cpu_s: dict[str, float]
    reads: float
    writes: float
    day_calls: float
    searches: float
    alerts: float
    wal_bytes: float | None

    @property
    def calls(self) -> float:
        """To any vendor."""
        return self.reads + self.writes + self.alerts


def estimate(wanted: Wanted, costs: Costs, retention: Retention) -> Estimate:
    """All of it, for one volume."""
    each = _each(wanted, costs)
    dynos = tuple(_dynos(kind, wanted, each) for kind in DYNOS)
    found = sorted(_limits(wanted, each), key=lambda one: one.used, reverse=True)
    return Estimate(
        per_second=wanted.per_second,
        actions_per_second=wanted.per_second * wanted.acts,
        dynos=dynos,
        database_connections=sum(one.database for one in dynos),
        redis_connections=sum(one.redis for one in dynos),
        kept=tuple(_kept(wanted, costs, retention)),
        wal_gb_per_day=None if each.wal_bytes is None else each.wal_bytes * wanted.signals_per_day / 1e9,
        limits=tuple(found),
    )


def _each(wanted: Wanted, costs: Costs) -> _Each:
    shares = [(share, costs.shapes[shape]) for shape, share in wanted.mix.items() if share]

    def mixed(line: str) -> float:
        return sum(share * _of(shape, line).at(wanted.acts) for share, shape in shares)

    wal = None if any(shape.wal_bytes is None for _, shape in shares) else mixed("wal_bytes")
    return _Each(
        {name: mixed(name) / 1000 for name in next(iter(costs.shapes.values())).cpu_ms},
        mixed("reads"),
        mixed("writes") * (1 - wanted.alerts),
        _day_calls(wanted, costs),
        wanted.mix.get("file", 0.0) / _FOUND_TOGETHER,
        wanted.acts * wanted.alerts,
        wal,
    )


def _day_calls(wanted: Wanted, costs: Costs) -> float:
    """Calls to HubSpot of one signal: singles come spread over the day, and then most of them travel alone."""
    acts = wanted.acts * (1 - wanted.alerts)
    single = wanted.mix.get("single", 0.0) * (costs.alone.signal + acts * costs.alone.action)
    others = [(share, costs.shapes[shape]) for shape, share in wanted.mix.items() if shape != "single"]
    return single + sum(
        share * (shape.reads.at(wanted.acts) + shape.writes.at(wanted.acts) * (1 - wanted.alerts))
        for share, shape in others
    )


def _of(shape: Shape, line: str) -> Line:
    found: Line = shape.cpu_ms[line] if line in shape.cpu_ms else getattr(shape, line)
    return found


def _dynos(kind: str, wanted: Wanted, each: _Each) -> Dynos:
    """A dyno has one processor; a worker, whose threads wait for vendors, is full when all of them do."""
    bounds = {"processor": each.cpu_s[kind]}
    if kind == "worker":
        bounds["threads"] = each.calls * wanted.vendor_s / WORKER_THREADS
    bound_by, most = max(bounds.items(), key=lambda one: one[1])
    load = wanted.per_second * most
    count = 1 if kind in ALONE else max(1, math.ceil(load / (1 - wanted.headroom) - 1e-9))
    held = HELD[kind]
    return Dynos(
        kind,
        count,
        1 / most if most else None,
        load / count,
        bound_by if kind not in ALONE else "one on duty",
        count * held.database,
        count * held.redis,
    )


def _limits(wanted: Wanted, each: _Each) -> Iterator[Limit]:
    """Everything of which there is one, however many dynos there are."""
    rates = limits(wanted.hubspot_per_10s)
    hubspot, slack = each.reads + each.writes, each.alerts
    channels = wanted.channels * _per_second(rates["slack", "post"])
    posts = min(channels, _per_second(rates["slack", "post:*"]))
    cpu = "processors"
    yield _limit(wanted, "HubSpot, our rate", "calls/s", hubspot, _per_second(rates["hubspot", "default"]))
    yield _limit(wanted, "HubSpot, searches", "calls/s", each.searches, _per_second(rates["hubspot", "search"]))
    yield _limit(wanted, "HubSpot, a day's calls", "calls/day", each.day_calls, wanted.hubspot_per_day, daily=True)
    yield _limit(wanted, f"Slack, {wanted.channels} channel(s)", "messages/s", slack, posts)
    yield _limit(wanted, "broker (Redis, one processor)", cpu, each.cpu_s["valkey"], 1.0)
    yield _limit(wanted, "database writes", cpu, each.cpu_s["postgres"], wanted.database_processors)
    yield _limit(wanted, "keeper (one on duty)", cpu, each.cpu_s["keeper"], 1.0)


def _per_second(rate: Rate) -> float:
    return rate.tokens / rate.per_seconds


def _limit(wanted: Wanted, name: str, unit: str, cost: float, most: float, *, daily: bool = False) -> Limit:
    load = cost * (wanted.signals_per_day if daily else wanted.per_second)
    used = load / most
    if not used:
        return Limit(name, 0.0, None, None, unit, 0.0, most)
    return Limit(name, used, wanted.per_second / used, wanted.signals_per_day / used, unit, load, most)


def _kept(wanted: Wanted, costs: Costs, retention: Retention) -> Iterator[Kept]:
    sizes = {kind: costs.ledger.bytes[kind] for kind in BYTES}
    deliveries = sum(share / PER_DELIVERY[shape] for shape, share in wanted.mix.items())
    each = {
        "deliveries": deliveries * sizes["delivery"] + sizes["body"],
        "signals": sizes["signal"] + wanted.acts * sizes["action"],
        "trail": costs.ledger.trail.at(wanted.acts) * sizes["trail_row"],
        "dead_letters": sizes["dead_letters"],
        "counters": sizes["counters"],
    }
    for kind, size in each.items():
        per_day = size * wanted.signals_per_day / 1e9
        lasts = getattr(retention, kind)
        days = None if lasts is None else lasts.days
        yield Kept(kind, per_day * MONTH_DAYS, days, None if days is None else per_day * days)
