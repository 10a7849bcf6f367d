"""How long single signals take: with nothing else to do, behind a bulk file, and under a flood of others."""

import http.client
import threading
import time
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks import webhooks
from tests.benchmarks.crm_deals import URGENT
from tests.benchmarks.load import Sent
from tests.benchmarks.processes import BenchError
from tests.benchmarks.product import Product
from tests.benchmarks.rounds import Arena, quantile
from tests.benchmarks.system import System
from tests.benchmarks.webhooks import Traffic

IDLE_PER_S: Final = 8.0
URGENT_PER_S: Final = 10.0
BATCH: Final = 100
LOW_SIGNALS: Final = 20
BACKLOG: Final = 500
"""So many signals at least must wait for a sample to count as taken behind a backlog."""
DRAIN_SECONDS: Final = 300.0
Json = dict[str, Any]


def idle(arena: Arena, one: System, samples: int) -> Json:
    """One request at a time, each long after the last was done: from its first byte to the effect's arrival.

    `reads` and `writes` are calls to the CRM for one signal that travels alone.
    """
    traffic = arena.traffic(samples)
    arena.vendor.reset()
    sent = arena.load.send(traffic, one.webhooks, rate=IDLE_PER_S)
    arena.await_end(one, traffic, sent)
    arena.check_effects(traffic)
    calls = arena.vendor.stats()
    return {**_spread(_delays(arena, sent)), **{name: calls[name] / samples for name in ("reads", "writes")}}


def answers(arena: Arena, one: System, rate: float, seconds: float) -> Json:
    """Answers at a steady rate of requests, timed from when each was due, so that a stall counts for all behind it."""
    traffic = arena.traffic(max(20, round(rate * seconds)), act_every=5)
    arena.vendor.reset()
    sent = arena.load.send(traffic, one.webhooks, rate=rate)
    arena.await_end(one, traffic, sent, DRAIN_SECONDS)
    return {"rate_per_s": rate, **_spread(sent.seconds)}


def urgent_behind_bulk(arena: Arena, product: Product, bulk: int, samples: int) -> Json:
    """Immediate signals while bulk ones wait. Only samples taken while a real backlog stood are counted."""
    arena.vendor.reset()
    behind = arena.load.send(_noise(arena, bulk, change_source="IMPORT"), product.webhooks)
    traffic = arena.traffic(samples, kind=URGENT, field="amount")
    watch = Backlog(product)
    with watch:
        sent = arena.load.send(traffic, product.webhooks, rate=URGENT_PER_S)
        await_effects(arena, traffic.effects, 60)
    delays = _delays(arena, sent)
    counted = [delay for delay, at in zip(delays, sent.sent, strict=True) if at < watch.stood_until(BACKLOG)]
    drained = await_empty(product)
    return {
        **_spread(sorted(counted)),
        "bulk": bulk,
        "accepted_in_s": behind.ended - behind.began,
        "waiting_first": watch.counts[0][1] if watch.counts else 0,
        "waiting_last": watch.counts[-1][1] if watch.counts else 0,
        "bulk_done_in_s": drained - behind.began,
    }


def low_under_flood(arena: Arena, product: Product, per_s: float, seconds: float) -> Json:
    """Low signals that come in the midst of a flood of standard ones, more than can be worked meanwhile."""
    arena.vendor.reset()
    arena.load.prepare(_noise(arena, round(per_s * seconds / BATCH) * BATCH), product.webhooks)
    low = arena.traffic(LOW_SIGNALS, per_request=LOW_SIGNALS, change_source="IMPORT")
    [request] = webhooks.requests(low, product.webhooks)
    watch = Backlog(product)
    with watch:
        arena.load.begin(rate=per_s / BATCH)
        time.sleep(seconds / 4)
        began = time.time()
        _post(product.webhooks, request)
        flood = arena.load.wait()
        await_effects(arena, LOW_SIGNALS, DRAIN_SECONDS)
    delays = sorted(times[0] - began for times in arena.vendor.effects().values())
    await_empty(product)
    return {
        "first_s": delays[0],
        "last_s": delays[-1],
        "flood_per_s": per_s,
        "flood_s": flood.ended - began,
        "waiting_most": max((count for _, count in watch.counts), default=0),
        "backlog": watch.stood_until(BACKLOG) > began,
        "moved_under_flood": sum(began + delay < watch.stood_until(BACKLOG) for delay in delays),
        "signals": LOW_SIGNALS,
    }


class Backlog:
    """Watches, for the length of a block, how many signals have not ended."""

    def __init__(self, product: Product) -> None:
        self.counts: list[tuple[float, int]] = []
        self._product = Product(product.url, product.processes, product.database)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="backlog")

    def __enter__(self) -> "Backlog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._product.close()

    def stood_until(self, least: int) -> float:
        """Until when at least so many waited (seconds since 1970), 0.0 if never."""
        return max((at for at, count in self.counts if count >= least), default=0.0)

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self.counts.append((time.time(), self._product.open_signals()))


def await_effects(arena: Arena, wanted: int, patience: float) -> None:
    """Wait for so many effects. Raises BenchError."""
    deadline = time.monotonic() + patience
    while (found := arena.vendor.stats()["effects"]) < wanted:
        if time.monotonic() > deadline:
            raise BenchError(f"{found} of {wanted} effects after {patience:.0f} s")
        time.sleep(0.05)


def await_empty(product: Product) -> float:
    """Wait until every signal has ended; when that was seen. Raises BenchError."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while product.any_open():
        product.processes.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{product.open_signals()} signals have not ended after {DRAIN_SECONDS:.0f} s")
        time.sleep(0.05)
    return time.time()


def _noise(arena: Arena, signals: int, **wanted: Any) -> Traffic:
    return arena.traffic(signals, per_request=BATCH, act_every=0, **wanted)


def _delays(arena: Arena, sent: Sent) -> list[float]:
    """Seconds from each request to its effect, in the order of the requests."""
    arrived = arena.vendor.effects()
    return [arrived[sent.traffic.subject(number)][0] - at for number, at in enumerate(sent.sent)]


def _spread(seconds: Sequence[float]) -> Json:
    ordered = sorted(seconds)
    spread = {f"p{share}_ms": 1000 * quantile(ordered, share / 100) for share in (50, 90, 99)}
    return {**spread, "most_ms": 1000 * (ordered[-1] if ordered else 0.0), "samples": len(ordered)}


def _post(url: str, request: bytes) -> None:
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
    try:
        connection.request("POST", place.path, body, headers)
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 202:
        raise BenchError(f"the low signals were answered {status}")
