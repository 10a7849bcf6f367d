"""The vendors' process, seen from the benchmark."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from revpipe.drill.fleet import environment
from revpipe.local.sockets import free_port
from tests.benchmarks.processes import BenchError, Group, group


@dataclass(slots=True)
class Vendor:
    """Where it is, and what it has seen since it was last reset."""

    port: int
    processes: Group

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """What the product and its peers must know to call it."""
        return {
            "HUBSPOT_BASE_URL": f"{self.url}/hubspot",
            "HUBSPOT_ACCESS_TOKEN": "bench-token",
            "SLACK_BASE_URL": f"{self.url}/slack/api/",
            "SLACK_BOT_TOKEN": "xoxb-bench",
            "SLACK_DEFAULT_CHANNEL": "C0DEALS01",
        }

    def stats(self) -> dict[str, Any]:
        """Counts: reads, last_read, effects, last_effect, deals, posts, writes, cpu_s. Times are seconds since 1970."""
        found: dict[str, Any] = self._ask("/bench/stats")
        return found

    def effects(self) -> dict[int, list[float]]:
        """When effects came, by deal."""
        return {int(deal): times for deal, times in self._ask("/bench/effects").items()}

    def reset(self) -> None:
        """Forget what came so far."""
        self._ask("/bench/reset")

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return orjson.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def running(folder: Path, latency_ms: float = 0.0) -> Iterator[Vendor]:
    """The vendors, for the length of a block. Raises BenchError if they do not start."""
    with group(folder) as processes:
        vendor = Vendor(free_port(), processes)
        words = ("revpipe.lifeline", "tests.benchmarks.vendor_server", str(vendor.port), str(latency_ms))
        processes.add("vendors", words, environment({}))
        deadline = time.monotonic() + 30
        while True:
            processes.check()
            try:
                vendor.stats()
            except OSError as error:
                if time.monotonic() > deadline:
                    raise BenchError("the vendors' process does not answer") from error
                time.sleep(0.05)
            else:
                break
        yield vendor
