"""The workloads: how signals arrive, and how many of them lead to an action."""

from collections.abc import Mapping
from typing import Any, Final

from tests.benchmarks.system import System

BATCH: Final = 100

SHAPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "single": {"per_request": 1},
    "batch": {"per_request": BATCH},
    "file": {"companies": True},
    # As an import makes them at HubSpot: of low priority.
    "bulk": {"per_request": BATCH, "change_source": "IMPORT"},
}
ENDINGS: Final[Mapping[str, Mapping[str, Any]]] = {"act": {"act_every": 1}, "mixed": {"act_every": 5}}


def wanted(shape: str, ending: str) -> dict[str, Any]:
    """What distinguishes the traffic of one workload, as arguments of `Traffic`."""
    return {**SHAPES[shape], **ENDINGS[ending]}


def address(one: System, shape: str) -> str:
    """Where a system takes that shape in; one without a door for files takes their rows as webhooks."""
    return str(getattr(one, "imports", one.webhooks)) if shape == "file" else one.webhooks
