"""A benchmark's JSON read as costs, and the file of costs itself."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from revpipe.bootstrap import CONFIG
from revpipe.capacity import benchmark
from revpipe.capacity.costs import SHAPES, Line, load
from revpipe.errors import Misconfigured
from tests.benchmarks import workloads
from tests.benchmarks.rounds import Round
from tests.unit.capacity_costs import costs

Json = dict[str, Any]
CPU = {"web": 1.0, "worker-urgent": 0.5, "worker-bulk": 2.5, "keeper": 0.1, "beat": 0.0, "postgres": 2.0, "valkey": 0.2}


def a_round(times: float = 1.0, *, reads: int = 100, writes: int = 200) -> Json:
    """A round of 1,000 signals as rounds.py writes it down, with `times` the processor seconds above."""
    cpu = {name: times * value for name, value in CPU.items()}
    made = Round("revpipe", 1000, 2.0, 500.0, 400.0, (2.0, 9.0), reads, writes, 5_000_000, 0.1, 0.1, 0.0, cpu)
    return asdict(made)


def a_run(**contests: list[Json]) -> Json:
    """A run with these contests of the product."""
    named = {name.replace("_", " "): {"revpipe": rounds, "celery": []} for name, rounds in contests.items()}
    return {
        "about": {"plan": "quick", "at": "2026-11-27T12:00:00+00:00", "processors": 2},
        "contests": named,
        "idle": {"revpipe": {"samples": 16, "p50_ms": 40.0, "reads": 6.2, "writes": 1.0}},
    }


WHOLE = {
    f"{shape}_{ending}": [a_round(times * other) for other in (1.0, 9.0, 1.1)]
    for shape in SHAPES
    for ending, times in (("mixed", 1.0), ("act", 3.0))
}


def read(run: Json) -> benchmark.Run:
    return benchmark.read(json.dumps(run), "latest.json")


def test_a_signal_and_its_action_are_told_apart_by_the_two_endings() -> None:
    found = read(a_run(**WHOLE))
    assert (found.measured["plan"], found.assumed, found.alone) == ("quick", (), Line(6.2, 1.0))
    shapes = found.shapes
    # Medians of 1.1 and 3.3 ms with 0.2 and 1.0 actions each: 2.75 ms for an action, and 0.55 for the rest.
    assert shapes["single"].cpu_ms["web"] == Line(0.55, 2.75)
    assert shapes["single"].cpu_ms["worker"] == Line(1.65, 8.25)
    assert shapes["file"].reads == Line(0.1, 0.0)
    assert shapes["file"].wal_bytes == Line(5000.0, 0.0)


def test_an_action_of_a_shape_with_one_contest_costs_as_much_as_elsewhere() -> None:
    quick = {name: each for name, each in WHOLE.items() if name not in ("batch_act", "file_act")}
    found = read(a_run(**quick))
    shapes = found.shapes
    assert len(found.assumed) == 2
    assert "an action of batch costs as much as one of single" in found.assumed[0]
    assert shapes["batch"].cpu_ms["web"] == shapes["single"].cpu_ms["web"]


def test_a_run_without_calls_that_write_counts_a_call_for_each_action() -> None:
    older = {name: [{k: v for k, v in one.items() if k not in ("writes", "wal_bytes")} for one in each]
             for name, each in WHOLE.items()}  # fmt: skip
    found = read({**a_run(**older), "idle": {"revpipe": {"samples": 16, "p50_ms": 40.0}}})
    assert "each action is a call of its own" in found.assumed[0]
    assert "a signal alone makes 6 reads" in found.assumed[1]
    assert (found.shapes["batch"].writes, found.shapes["batch"].wal_bytes) == (Line(0.0, 1.0), None)
    assert found.alone == benchmark.ALONE


def test_noise_makes_no_cost_negative() -> None:
    upside_down = {name: [a_round(0.5 if name.endswith("act") else 1.0)] for name in WHOLE}
    assert read(a_run(**upside_down)).shapes["single"].cpu_ms["web"] == Line(1.0, 0.0)


def test_the_shares_are_those_of_the_benchmark() -> None:
    assert {name: 1 / traffic["act_every"] for name, traffic in workloads.ENDINGS.items()} == benchmark.ENDINGS
    assert set(SHAPES) <= set(workloads.SHAPES)
    assert {"cpu", "reads", "signals", "writes", "wal_bytes"} <= {one.name for one in fields(Round)}


def no_rounds(run: Json) -> Json:
    return {**run, "contests": {}}


def one_shape_less(run: Json) -> Json:
    return {**run, "contests": {key: each for key, each in run["contests"].items() if not key.startswith("file")}}


def one_ending(run: Json) -> Json:
    return {**run, "contests": {key: each for key, each in run["contests"].items() if key.endswith("act")}}


def no_signals(run: Json) -> Json:
    return {**run, "contests": {"single act": {"revpipe": [{**a_round(), "signals": 0}]}}}


def of_others(run: Json) -> Json:
    return {**run, "contests": {"single act": {"celery": [a_round()]}}}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: [], "is no benchmark's JSON"),
        (lambda run: {"about": {}}, "is no benchmark's JSON"),
        (of_others, "is no benchmark's JSON"),
        (no_signals, "a round without signals"),
        (no_rounds, "neither 'single' contest is in it"),
        (one_shape_less, "neither 'file' contest is in it"),
        (one_ending, "no shape has both endings"),
    ],
)
def test_what_is_no_run_is_refused_with_the_command_that_makes_one(spoil: Any, words: str) -> None:
    with pytest.raises(Misconfigured, match="make bench") as told:
        read(spoil(a_run(**WHOLE)))
    assert words in str(told.value)


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(Misconfigured, match="make bench"):
        benchmark.read("<html>", "latest.json")


def test_the_file_of_costs_is_what_was_written() -> None:
    assert load(costs().as_text()) == costs()
    without = replace(costs(), shapes={name: replace(one, wal_bytes=None) for name, one in costs().shapes.items()})
    assert load(without.as_text()) == without


def test_what_is_shipped_is_good_and_says_where_it_comes_from() -> None:
    shipped = load((CONFIG / "costs.json").read_text(encoding="utf-8"))
    assert {"plan", "at", "processors", "python", "command", "ledger"} <= set(shipped.measured)
    assert all(shape.cpu_ms["worker"].signal > 0 for shape in shipped.shapes.values())
    assert all(size > 0 for size in shipped.ledger.bytes.values())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda found: found.pop("shapes"), "'shapes' is missing"),
        (lambda found: found["shapes"].pop("file"), "'file' is missing"),
        (lambda found: found["shapes"]["single"]["reads"].update(signal=-1), "shapes.single.reads: 'signal' must be"),
        (lambda found: found["shapes"]["batch"]["cpu_ms"]["web"].update(action="2"), "cpu_ms.web: 'action' must be"),
        (lambda found: found["ledger"]["bytes"].update(body=True), "ledger.bytes: 'body' must be"),
        (lambda found: found["ledger"].pop("trail"), "ledger.trail: 'signal' must be"),
    ],
)
def test_a_spoilt_file_of_costs_is_refused_with_the_place(spoil: Any, words: str) -> None:
    found = json.loads(costs().as_text())
    spoil(found)
    with pytest.raises(Misconfigured, match="make costs") as told:
        load(json.dumps(found))
    assert words in str(told.value)
