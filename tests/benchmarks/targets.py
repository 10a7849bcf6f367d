"""What the product is held to, and what a run found: one row for each target."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import config.queues
from tests.benchmarks.rounds import quartiles

Json = dict[str, Any]
BOUND: Final = "LOW_BOUND_SECONDS"
"""The name in config/queues.py of the bound that holds for low signals, if one is stated there."""
Spread = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Target:
    """One row. `met` is None where the run did not measure it or no verdict is possible; `command` measures it."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    command: str = "make bench"


def targets(found: Json) -> list[Target]:
    """All rows, in the order of the project's list; what the run left out says so."""
    rows: list[Target] = []
    for made in (_receiving, _working, _reading, _waiting, _deciding, _lasting):
        rows += made(found)
    return rows


def ratios(found: Json, workload: str, peer: str, what: str = "per_s") -> Spread | None:
    """Quartiles of the product's figure over the peer's, round by round; None if that was not measured."""
    contest = found["contests"].get(workload, {})
    if peer not in contest:
        return None
    pairs = zip(contest["revpipe"], contest[peer], strict=True)
    return quartiles([ours[what] / theirs[what] for ours, theirs in pairs])


def rates(found: Json, workload: str, system: str, what: str = "per_s") -> Spread | None:
    """Quartiles of a system's rate in a workload; None if it took no part."""
    rounds = found["contests"].get(workload, {}).get(system)
    return quartiles([one[what] for one in rounds]) if rounds else None


def _receiving(found: Json) -> Iterator[Target]:
    ratio = ratios(found, "single act", "celery", "accepted_per_s")
    yield _ratio("accepted webhooks/s, single, durable, against Flask + Celery", 1.0, ratio)
    told = found["answers"]["revpipe"]
    yield _below(
        "answer at 70 % of the most, p99", 100, told["p99_ms"], f"of {told['samples']}, p50 {_ms(told['p50_ms'])}"
    )


def _working(found: Json) -> Iterator[Target]:
    for workload, peer, least in (
        ("single act", "celery", 1.5),
        ("single act", "dbos", 3.0),
        ("single mixed", "celery", 2.0),
        ("batch mixed", "celery", 8.0),
        ("file mixed", "celery", 8.0),
    ):
        name = {"celery": "Flask + Celery", "dbos": "DBOS"}[peer]
        ratio = ratios(found, workload, peer)
        yield _ratio(f"{workload}, end to end, against {name}", least, ratio)


def _reading(found: Json) -> Iterator[Target]:
    for told, most in zip(found["reads"], (80, 40), strict=True):
        what = f"vendor reads for 1,000 bulk signals of {told['deals']:,} deals"
        spread = f"{told['least']:g} to {told['most']:g}"
        yield Target(what, f"≤ {most}", f"{told['reads']:g} ({spread})", told["reads"] <= most)


def _waiting(found: Json) -> Iterator[Target]:
    idle = found["idle"]["revpipe"]
    yield _below("idle, request → effect, p50", 60, idle["p50_ms"], f"of {idle['samples']}")
    yield _below("idle, request → effect, p99", 250, idle["p99_ms"], f"of {idle['samples']}")
    urgent = found["urgent_behind_bulk"]
    note = f"of {urgent['samples']}, p50 {_ms(urgent['p50_ms'])}"
    what = f"immediate while {urgent['bulk']:,} bulk wait, request → effect, p99"
    if urgent["samples"]:
        yield _below(what, 1000, urgent["p99_ms"], note)
    else:
        yield Target(what, "< 1,000 ms", "the bulk was done before any sample was taken", None)
    low, bound = found["low_under_flood"], getattr(config.queues, BOUND, None)
    what = f"low signals under a flood of {low['flood_per_s']:,.0f}/s"
    wanted = f"move; ≤ {bound:g} s" if bound else f"move (no {BOUND} in config/queues.py)"
    if not low["backlog"]:
        yield Target(what, wanted, f"no backlog came about; last after {low['last_s']:.1f} s", None)
        return
    measured = f"{low['moved_under_flood']} of {low['signals']} within it, last after {low['last_s']:.1f} s"
    yield Target(what, wanted, measured, low["moved_under_flood"] > 0 and low["last_s"] <= (bound or low["last_s"]))


def _deciding(found: Json) -> Iterator[Target]:
    if told := found.get("rules"):
        slowest = told["slowest"]
        note = f"of {told['signals']:,}, p99 {_ms(told['p99_ms'])}, {slowest['event']} {_ms(slowest['p50_ms'])}"
        what = f"{told['rules']} rules, one signal, p50"
        yield _below(what, 5, told["p50_ms"], note, "python -m tests.benchmarks.many_rules")


def _lasting(found: Json) -> Iterator[Target]:
    if memory := found.get("memory_mb"):
        grown = {name: after / before - 1 for name, (before, after) in memory.items()}
        name = max(grown, key=lambda one: grown[one])
        yield Target("memory after 100,000 signals", "≤ +20 %", f"{grown[name]:+.0%} ({name})", grown[name] <= 0.2)
    else:
        yield Target("memory after 100,000 signals", "≤ +20 %", "only in a full run", None)
    if growth := found.get("growth"):
        for workload in growth:
            pairs = zip(growth[workload]["many"], growth[workload]["few"], strict=True)
            low, ratio, high = quartiles([many / few for many, few in pairs])
            what = f"{workload} at 1 million rows against 10 thousand"
            yield Target(what, "≥ 0.9", f"{ratio:.2f} ({low:.2f} to {high:.2f})", ratio >= 0.9)
    else:
        yield Target("throughput at 1 million rows against 10 thousand", "≥ 0.9", "only in a full run", None)


def _ratio(what: str, least: float, ratio: Spread | None) -> Target:
    if ratio is None:
        return Target(what, f"≥ {least:g} ×", "not in this run", None)
    low, middle, high = ratio
    return Target(what, f"≥ {least:g} ×", f"{middle:.2f} × ({low:.2f} to {high:.2f})", middle >= least)


def _below(what: str, most: float, value: float, note: str, command: str = "make bench") -> Target:
    return Target(what, f"< {_ms(most)}", f"{_ms(value)} ({note})", value < most, command)


def _ms(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"
