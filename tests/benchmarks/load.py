"""The sending process, seen from the benchmark."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from revpipe.drill.fleet import environment
from tests.benchmarks.processes import BenchError
from tests.benchmarks.webhooks import Traffic

CONNECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one run. Times are seconds since 1970, `seconds` those from request to answer, sorted."""

    traffic: Traffic
    began: float
    ended: float
    seconds: tuple[float, ...]
    sent: tuple[float, ...]
    cpu_s: float
    hung_up: int

    @property
    def accepted_per_s(self) -> float:
        """Requests accepted in a second."""
        return len(self.seconds) / max(1e-9, self.ended - self.began)


@dataclass(slots=True)
class Load:
    """Takes one job at a time; a job that was begun can be waited for later."""

    process: "subprocess.Popen[bytes]"
    _traffic: Traffic | None = None
    _cpu: float = 0.0

    def prepare(self, traffic: Traffic, url: str) -> None:
        """Make and sign the requests."""
        self._traffic = traffic
        self._tell({"traffic": traffic.as_dict(), "url": url})
        self._hear()

    def begin(self, *, rate: float = 0.0, connections: int = CONNECTIONS) -> None:
        """Send what was prepared: as fast as it is taken, or at `rate` requests in a second."""
        self._tell({"send": {"rate": rate, "connections": connections}})

    def wait(self) -> Sent:
        """What came of it. Raises BenchError unless every request was accepted."""
        told = self._hear()
        refused = {status: count for status, count in told["statuses"].items() if not status.startswith("2")}
        if refused or self._traffic is None:
            raise BenchError(f"requests were not accepted; answers by status: {told['statuses']}")
        used, self._cpu = told["cpu_s"] - self._cpu, told["cpu_s"]
        return Sent(
            self._traffic,
            told["began"],
            told["ended"],
            tuple(told["seconds"]),
            tuple(told["sent"]),
            used,
            told["hung_up"],
        )

    def send(self, traffic: Traffic, url: str, *, rate: float = 0.0, connections: int = CONNECTIONS) -> Sent:
        """All three."""
        self.prepare(traffic, url)
        self.begin(rate=rate, connections=connections)
        return self.wait()

    def _tell(self, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(orjson.dumps(job) + b"\n")
        self.process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("the sending process has ended; what it said stands above")
        told: dict[str, Any] = orjson.loads(line)
        return told


@contextmanager
def running() -> Iterator[Load]:
    """A sending process, for the length of a block; it ends with its input, so never later than this process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.load_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment({}),
        start_new_session=True,
    )
    try:
        yield Load(process)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
