"""Whether all processes of `revpipe up` do their part: they are asked, and old rows and old logs do not count."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from revpipe import leases
from revpipe.db import server_time, transaction
from revpipe.keeper import DUTY
from revpipe.local.child import Child

START_SECONDS: Final = 60.0
MARKERS: Final = {"worker": b"worker_ready", "beat": b"beat_ready"}


class Readiness:
    """Asks on behalf of processes that were started after this was made."""

    def __init__(self, engine: Engine, web: str, sandbox: str | None) -> None:
        self._engine = engine
        self._web = web
        self._sandbox = sandbox
        with transaction(engine) as tx:
            self._since = server_time(tx)
        self._deadline = time.monotonic() + START_SECONDS

    @property
    def late(self) -> bool:
        """Whether the time for a start is used up."""
        return time.monotonic() > self._deadline

    def missing(self, children: Sequence[Child]) -> list[Child]:
        """The processes that have not shown yet that they work."""
        return [child for child in children if not self._works(child)]

    def _works(self, child: Child) -> bool:
        kind = child.name.split("-", maxsplit=1)[0]
        if kind == "web":
            report = _ask(f"{self._web}/readyz") or {}
            return report.get("database") == report.get("broker") == "ok"
        if kind == "sandbox":
            return _ask(f"{self._sandbox}/_sandbox/effects") is not None
        if kind == "keeper":
            return self._kept()
        return child.wrote(MARKERS[kind])

    def _kept(self) -> bool:
        """Whether a round of the keeper began after the start of all this."""
        try:
            with transaction(self._engine) as tx:
                duty = leases.state(tx, DUTY)
        except SQLAlchemyError:
            return False
        return duty is not None and duty["round_at"] > self._since


def _ask(url: str) -> Any:
    """The JSON answered with 200, None for any other answer or none."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback URL
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return None
