"""The vendors' side as one fast process: `python -m tests.benchmarks.vendor_server PORT [LATENCY_MS]`.

HTTP/1.1 with keep-alive, written by hand on asyncio: a framework would cost more than what is measured. `/bench/…`
tells what came and how much processor time that took.
"""

import asyncio
import sys
import time
from typing import Final

import orjson

from tests.benchmarks.crm_api import Crm

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_PREFIXES: Final = ("/hubspot", "/slack/api")
_REASONS: Final = {200: b"OK", 201: b"Created", 207: b"Multi-Status", 404: b"Not Found"}


class Vendors:
    """What all connections share."""

    def __init__(self, latency: float) -> None:
        self.crm = Crm()
        self.latency = latency

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """One request to a vendor, or to the benchmark's own pages."""
        for prefix in _PREFIXES:
            if target.startswith(prefix):
                return self.crm.answer(method, target[len(prefix) :], body)
        if target == "/bench/stats":
            return 200, self._stats()
        if target == "/bench/effects":
            return 200, orjson.dumps({str(deal): times for deal, times in self.crm.arrived.items()})
        if target == "/bench/reset":
            self.crm = Crm()
            return 200, b"{}"
        return 404, b"{}"

    def _stats(self) -> bytes:
        crm = self.crm
        facts = {"reads": crm.reads, "last_read": crm.last_read, "effects": crm.effects, "last_effect": crm.last_effect}
        facts |= {"deals": len(crm.arrived), "posts": crm.posts, "writes": crm.writes}
        return orjson.dumps(facts | {"cpu_s": time.process_time()})


class Connection(asyncio.Protocol):
    """One kept-alive connection; its client sends the next request after the answer."""

    def __init__(self, vendors: Vendors) -> None:
        self._vendors = vendors
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole by now."""
        self._buffer += data
        while (end := self._buffer.find(_END)) >= 0:
            head = self._buffer[:end]
            lower = head.lower()
            at = lower.find(_LENGTH)
            length = int(lower[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            start = end + len(_END)
            if len(self._buffer) < start + length:
                return
            body, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            self._send(*self._vendors.answer(method, target, body))

    def _send(self, status: int, body: bytes) -> None:
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        answer = head % (status, _REASONS[status], len(body)) + body
        assert self._transport is not None
        if self._vendors.latency:
            asyncio.get_running_loop().call_later(self._vendors.latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(port: int, latency: float) -> None:
    """Serve on 127.0.0.1 until the process is ended. `latency` in seconds is added to every answer."""
    vendors = Vendors(latency)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(vendors), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0))
