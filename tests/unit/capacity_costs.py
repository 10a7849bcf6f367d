"""Costs that can be reckoned in one's head."""

from revpipe.capacity.costs import BYTES, PROCESSES, SHAPES, Costs, Ledger, Line, Shape

CPU_MS = {"web": 2.0, "worker": 5.0, "keeper": 0.5, "beat": 0.0, "postgres": 4.0, "valkey": 1.0}


def shape(times: float = 1.0) -> Shape:
    """A signal's processor time above, and as much again for an action; half a call to read, one to act."""
    cpu = {name: Line(times * CPU_MS[name], times * CPU_MS[name]) for name in PROCESSES}
    return Shape(cpu, Line(0.5, 0.0), Line(0.0, 1.0), Line(10_000.0, 5_000.0))


def costs() -> Costs:
    """A signal of a batch or a file costs a tenth of a single one."""
    return Costs(
        {"plan": "made up", "at": "2026-11-27T12:00:00+00:00", "processors": 2},
        (),
        {name: shape(1.0 if name == "single" else 0.1) for name in SHAPES},
        Line(6.0, 1.0),
        Ledger(dict.fromkeys(BYTES, 1_000.0), Line(4.0, 5.0)),
    )
