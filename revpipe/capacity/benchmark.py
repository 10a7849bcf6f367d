"""A benchmark's JSON (`make bench` writes docs/benchmarks/latest.json) read as what one signal costs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from revpipe.capacity.costs import PROCESSES, SHAPES, Line, Shape
from revpipe.errors import Misconfigured

Json = dict[str, Any]
ENDINGS: Final = {"mixed": 0.2, "act": 1.0}
"""Ending of a contest → the share of its signals that lead to an action (tests/benchmarks/workloads.py)."""
_PRODUCT: Final = "revpipe"
_FACTS: Final = ("plan", "at", "took_s", "processors", "memory_gb", "python", "rounds", "round_s", "load_before")
ALONE: Final = Line(6.0, 1.0)
"""As counted by `python -m tests.benchmarks.one single act --signals 1`."""
Figure = Callable[[Mapping[str, Any]], float | None]
"""What a round says of one signal; None if it does not tell."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run's part of what revpipe.capacity.costs.Costs holds, under the same names."""

    measured: Json
    assumed: tuple[str, ...]
    shapes: Mapping[str, Shape]
    alone: Line


def read(text: str, name: str) -> Run:
    """How it was measured, what had to be assumed, and what was found.

    Raises Misconfigured if this is no benchmark of the product, naming what it lacks.
    """
    contests, about, idle = _contests(text, name)
    assumed: list[str] = []
    whole = [shape for shape in SHAPES if all(f"{shape} {ending}" in contests for ending in ENDINGS)]
    shapes = {}
    for shape in SHAPES:
        rounds = {share: contests[f"{shape} {e}"] for e, share in ENDINGS.items() if f"{shape} {e}" in contests}
        if not rounds:
            raise Misconfigured(f"{name}: neither {shape!r} contest is in it; run the benchmark as a whole: make bench")
        stands_in = None
        if len(rounds) == 1:
            if not whole:
                raise Misconfigured(f"{name}: no shape has both endings, {' and '.join(ENDINGS)}; run: make bench")
            stands_in = {share: contests[f"{whole[0]} {ending}"] for ending, share in ENDINGS.items()}
            assumed.append(f"an action of {shape} costs as much as one of {whole[0]}: the run had one {shape} contest")
        shapes[shape] = _shape(rounds, stands_in)
    if not any(_writes(one) is not None for each in contests.values() for one in each):
        assumed.append("each action is a call of its own: the run did not count calls that write")
    if idle is None:
        assumed.append(f"a signal alone makes {ALONE.signal:g} reads, and a call for its action: the run did not count")
    measured: Json = {key: about[key] for key in _FACTS if key in about}
    return Run(measured, tuple(assumed), shapes, idle or ALONE)


def _contests(text: str, name: str) -> tuple[dict[str, Sequence[Json]], Json, Line | None]:
    """The product's rounds by contest, what the run says about itself, and the calls of a signal alone."""
    try:
        found = json.loads(text)
        contests = {str(key): list(each[_PRODUCT]) for key, each in found["contests"].items()}
        for each in contests.values():
            for one in each:
                if not (one["signals"] > 0 and one["reads"] >= 0 and min(one["cpu"].values()) >= 0):
                    raise ValueError("a round without signals, or with a figure below nought")
        about = dict(found["about"])
        idle = found.get("idle", {}).get(_PRODUCT, {})
        alone = Line.read({"signal": idle["reads"], "action": idle["writes"]}, name) if "writes" in idle else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(
            f"{name} is no benchmark's JSON ({type(error).__name__}: {error}); make bench writes one to"
            " docs/benchmarks/latest.json"
        ) from error
    return {key: each for key, each in contests.items() if each}, about, alone


def _shape(rounds: Mapping[float, Sequence[Json]], stands_in: Mapping[float, Sequence[Json]] | None) -> Shape:
    def line(figure: Figure) -> Line | None:
        return _line(rounds, stands_in, figure)

    none = Line(0.0, 0.0)
    return Shape(
        {process: line(_cpu_of(process)) or none for process in PROCESSES},
        line(lambda one: one["reads"] / one["signals"]) or none,
        line(_writes) or Line(0.0, 1.0),
        line(lambda one: one["wal_bytes"] / one["signals"] if "wal_bytes" in one else None),
    )


def _line(
    rounds: Mapping[float, Sequence[Json]], stands_in: Mapping[float, Sequence[Json]] | None, figure: Figure
) -> Line | None:
    """Through the medians at both shares; where one is missing, as steep as what stands in. Never below nought."""
    points = {share: _median(each, figure) for share, each in rounds.items()}
    slopes = {share: _median(each, figure) for share, each in (stands_in or rounds).items()}
    few, many = slopes[min(slopes)], slopes[max(slopes)]
    share, value = next(iter(points.items()))
    if few is None or many is None or value is None:
        return None
    action = max(0.0, (many - few) / (max(slopes) - min(slopes)))
    return Line(round(max(0.0, value - share * action), 5), round(action, 5))


def _median(rounds: Sequence[Json], figure: Figure) -> float | None:
    values = [value for one in rounds if (value := figure(one)) is not None]
    return median(values) if values else None


def _cpu_of(process: str) -> Figure:
    """Milliseconds a signal; the formation of the benchmark has several workers."""

    def figure(one: Mapping[str, Any]) -> float:
        used = (seconds for name, seconds in one["cpu"].items() if name.partition("-")[0] == process)
        return 1000 * float(sum(used)) / float(one["signals"])

    return figure


def _writes(one: Mapping[str, Any]) -> float | None:
    return one["writes"] / one["signals"] if "writes" in one else None
