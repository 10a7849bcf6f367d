"""The sending process: requests made and signed beforehand, then sent over kept-alive connections.

`python -m tests.benchmarks.load_server` takes jobs as lines of JSON. `{"traffic": …, "url": …}` makes the requests;
`{"send": {"connections": 8, "rate": 0}}` sends them and answers with what came of it. A `rate` of requests in a second
is kept whatever the answers take, and the time of an answer then counts from when its request was due.
"""

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from tests.benchmarks import files
from tests.benchmarks.webhooks import Traffic, requests


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where requests go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    async def send(self, request: bytes) -> int:
        """The status of the answer. Raises ConnectionError if the server hung up before it."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Wait until the answer is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = self._buffer[:end].lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) >= end + 4 + length:
            self._buffer = b""
            self._answer.set_result(int(head.split(b" ", 2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server hung up"))


@dataclass(slots=True)
class Run:
    """One run of requests, and what came of each."""

    requests: list[bytes]
    host: str
    port: int
    rate: float
    taken: int = 0
    hung_up: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    sent: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0

    async def all(self, connections: int) -> None:
        """Send everything, on no more connections than there are requests.

        gunicorn keeps a thread for five seconds on a new connection that says nothing.
        """
        self.sent = [0.0] * len(self.requests)
        self.began = time.time()
        await asyncio.gather(*(self._one_connection() for _ in range(min(connections, len(self.requests)))))
        self.ended = time.time()

    async def _one_connection(self) -> None:
        connection = await self._connect()
        while self.taken < len(self.requests):
            number, self.taken = self.taken, self.taken + 1
            due = time.time()
            if self.rate:
                due = self.began + number / self.rate
                await asyncio.sleep(max(0.0, due - time.time()))
            self.sent[number] = time.time()
            try:
                status = await connection.send(self.requests[number])
            except ConnectionError:
                # A server may end a kept-alive connection at any time; a client then simply sends again.
                self.hung_up += 1
                connection = await self._connect()
                status = await connection.send(self.requests[number])
            self.statuses[status] += 1
            self.seconds.append(time.time() - due)

    async def _connect(self) -> Connection:
        _, protocol = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        return protocol


def _told(run: Run) -> dict[str, Any]:
    return {
        "began": run.began,
        "ended": run.ended,
        "statuses": {str(status): count for status, count in run.statuses.items()},
        "hung_up": run.hung_up,
        "seconds": sorted(run.seconds),
        "sent": run.sent,
        "cpu_s": time.process_time(),
    }


def main() -> None:
    """One job a line, one answer a line."""
    made: list[bytes] = []
    place = urlsplit("")
    for line in sys.stdin:
        job = orjson.loads(line)
        if "traffic" in job:
            traffic, place = Traffic(**job["traffic"]), urlsplit(job["url"])
            made = (files.requests if place.path.startswith("/imports") else requests)(traffic, job["url"])
            told: dict[str, Any] = {"made": len(made)}
        else:
            run = Run(made, str(place.hostname), place.port or 80, job["send"]["rate"])
            asyncio.run(run.all(job["send"]["connections"]))
            told = _told(run)
        sys.stdout.write(orjson.dumps(told).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
