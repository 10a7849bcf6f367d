"""What the benchmark expects of a pipeline that it measures, ours or a peer's."""

import http.client
import time
from typing import Final, Protocol
from urllib.parse import urlsplit

from tests.benchmarks import webhooks
from tests.benchmarks.processes import BenchError, Group
from tests.benchmarks.vendor import Vendor
from tests.benchmarks.webhooks import Traffic

FORGED: Final = "not-the-secret"


class System(Protocol):
    """A receiver with what works behind it."""

    name: str
    processes: Group

    @property
    def webhooks(self) -> str:
        """Where signed events are posted to."""

    def ended(self, traffic: Traffic, began: float, vendor: Vendor) -> float | None:
        """When the last signal of a run came to its end (seconds since 1970), None while some are on their way."""


def wait_ready(processes: Group, url: str, seconds: float = 60.0) -> None:
    """Wait until a receiver answers and refuses what is not signed. Raises BenchError if it lets that in."""
    deadline = time.monotonic() + seconds
    while True:
        processes.check()
        try:
            status = _post_forged(url)
        except OSError:
            status = 0
        if status == 401:
            return
        if 200 <= status < 300:
            raise BenchError(f"{url} accepts a request with a forged signature, so nothing is measured")
        if time.monotonic() > deadline:
            raise BenchError(f"{url} is not ready after {seconds:.0f} s (last answer: {status or 'none'})")
        time.sleep(0.1)


def _post_forged(url: str) -> int:
    request = webhooks.post(url, b"[]", int(time.time() * 1000), secret=FORGED)
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=10)
    try:
        connection.request("POST", place.path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
