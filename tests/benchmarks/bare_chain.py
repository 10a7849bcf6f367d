"""A bare Celery chain of three no-op tasks: what the product's rate is compared with.

`python tests/benchmarks/bare_chain.py URL` is its worker. Nothing of revpipe is in it.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from celery import Celery, chain

QUEUES = ("bench.one", "bench.two", "bench.three")
THREADS = 4


def make_app(url: str) -> Celery:
    """The chain's app on the broker at `url`: late acknowledgement like the product's, else Celery's own defaults."""
    app = Celery("bench", broker=url, backend=None)
    app.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=1,
    )
    for queue in QUEUES:
        app.task(name=queue)(_nothing)
    return app


def _nothing(*_: object) -> None:
    """Do nothing."""


@contextmanager
def worker(url: str) -> Iterator[None]:
    """A worker process for the length of a `with` block."""
    process = subprocess.Popen([sys.executable, __file__, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def rate(url: str, client: redis.Redis, chains: int, seconds: float) -> float:
    """Chains a second from the first publish to the last link's end, `seconds` at the most for all of them."""
    app = make_app(url)
    _drain(app, client, 1, seconds)
    return chains / _drain(app, client, chains, seconds)


def _drain(app: Celery, client: redis.Redis, chains: int, seconds: float) -> float:
    start = time.monotonic()
    for number in range(chains):
        chain(
            *(app.signature(queue, args=(number,) if queue == QUEUES[0] else ()).set(queue=queue) for queue in QUEUES)
        )()
    quiet = 0
    while quiet < 5:
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"{chains} bare chains took longer than {seconds} s")
        time.sleep(0.02)
        # A message is nowhere for a moment between being fetched and being noted, hence several looks.
        quiet = 0 if _held(client) else quiet + 1
    return time.monotonic() - start - 0.1


def _held(client: redis.Redis) -> int:
    pipeline = client.pipeline()
    for queue in QUEUES:
        pipeline.llen(queue)
    pipeline.hlen("unacked")
    return sum(pipeline.execute())


if __name__ == "__main__":
    make_app(sys.argv[1]).worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={THREADS}",
            f"--queues={','.join(QUEUES)}",
            "--loglevel=ERROR",
            "--without-gossip",
            "--without-mingle",
        ]
    )
