"""A bare Celery chain of three tasks that do nothing, on the same broker: the floor under any pipeline of three stages.

Same worker as the hand-written pipeline: prefork 4, late acknowledgement, prefetch 1, no results, no events.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import redis
from celery import Celery, chain
from celery.signals import worker_ready

from revpipe.drill.fleet import environment
from tests.benchmarks.ground import Ground
from tests.benchmarks.peers.celery_pipeline import worker_words
from tests.benchmarks.processes import BenchError, Group, group

DATABASE: Final = 2
QUEUE: Final = "bare"

app = Celery("bare", broker=os.environ.get("BROKER_URL"), backend=None)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="nothing")  # type: ignore[untyped-decorator]
def nothing(*_: object) -> None:
    """Do nothing."""


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _say_ready(**_: object) -> None:
    sys.stderr.write("peer ready\n")
    sys.stderr.flush()


@dataclass(slots=True)
class BareChain:
    """The chain's worker, and a client that sees its queue."""

    processes: Group
    client: redis.Redis

    def rate(self, chains: int, seconds: float = 60.0) -> float:
        """Chains a second, from the first publish to the end of the last link. Raises BenchError."""
        began = time.monotonic()
        for _ in range(chains):
            chain(nothing.s(), nothing.s(), nothing.s())()
        quiet = 0
        while quiet < 5:
            # A message is nowhere for a moment between being fetched and being noted, hence several looks.
            time.sleep(0.01)
            quiet = 0 if self._held() else quiet + 1
            self.processes.check()
            if time.monotonic() - began > seconds:
                raise BenchError(f"{chains} bare chains took longer than {seconds:.0f} s")
        return chains / (time.monotonic() - began - 0.05)

    def _held(self) -> int:
        pipeline = self.client.pipeline()
        pipeline.llen(QUEUE)
        pipeline.hlen("unacked")
        return sum(pipeline.execute())


@contextmanager
def running(ground: Ground) -> Iterator[BareChain]:
    """The worker, ready, for the length of a block. Raises BenchError if it does not start."""
    app.conf.broker_url = ground.broker(DATABASE)
    variables = environment({"BROKER_URL": ground.broker(DATABASE)})
    with group(ground.folder / "bare") as processes:
        worker = processes.add("bare-worker", worker_words("tests.benchmarks.peers.bare_chain", QUEUE), variables)
        processes.await_words(worker, b"peer ready")
        with redis.Redis.from_url(ground.redis(DATABASE)) as client:
            yield BareChain(processes, client)
