"""A worker that shows a request to people and dies on the way, in a process of its own."""

from typing import Any

from config.settings import Settings
from revpipe import crash
from revpipe.bootstrap import for_worker
from revpipe.notifying import run as notifying
from revpipe.work import Chunk


def run(point: str, settings: dict[str, Any], chunk: Chunk) -> None:
    """Work the chunk and die at `point`."""
    services = for_worker(Settings(**settings), ("notify.slack.high",))
    crash.arm(point)
    notifying.run(chunk, services)
