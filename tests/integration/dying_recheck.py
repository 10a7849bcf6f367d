"""A worker that looks at the facts of approved actions and dies on the way, in a process of its own."""

from dataclasses import replace
from typing import Any

from config.settings import Settings
from revpipe import crash, recheck
from revpipe.bootstrap import for_keeper
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import MovableClock
from tests.integration.people_fixtures import DEAL, Crm


def run(point: str, settings: dict[str, Any], chunk: Chunk) -> None:
    """Work the chunk and die at `point`."""
    services = replace(for_keeper(Settings(**settings)), providers=(Crm(MovableClock(), DEAL),))
    crash.arm(point)
    recheck.run(chunk, services)
