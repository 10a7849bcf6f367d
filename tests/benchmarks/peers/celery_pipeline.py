"""The hand-written Flask and Celery pipeline, started: gunicorn with 2 processes of 8 threads, prefork of 4."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from revpipe.drill.fleet import environment
from revpipe.local.sockets import free_port
from tests.benchmarks import system
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import Group, group
from tests.benchmarks.vendor import Vendor
from tests.benchmarks.webhooks import SECRET, Traffic

DATABASE = 1
"""Of the same Valkey that the product uses."""


@dataclass(slots=True)
class Pipeline:
    """A peer whose work is done when the vendors have seen all of it: it keeps no record to ask."""

    name: str
    url: str
    processes: Group

    @property
    def webhooks(self) -> str:
        """Where events go."""
        return f"{self.url}/webhooks/hubspot"

    def ended(self, traffic: Traffic, began: float, vendor: Vendor) -> float | None:
        """The later of the last read and the last effect; what a peer still does after that is not counted."""
        stats = vendor.stats()
        if stats["reads"] < traffic.signals or stats["effects"] < traffic.effects:
            return None
        return float(max(stats["last_read"], stats["last_effect"]))


def gunicorn(module: str, port: int, factory: str = "app") -> tuple[str, ...]:
    """The receiver's command, with the product's own settings for gunicorn."""
    options = ("--workers", "2", "--threads", "8", "--worker-class", "gthread", "--keep-alive", "75")
    quiet = ("--log-level", "warning", "--no-control-socket")
    return "revpipe.lifeline", "gunicorn", *options, *quiet, "--bind", f"127.0.0.1:{port}", f"{module}:{factory}"


@contextmanager
def running(ground: Ground, vendor: Vendor) -> Iterator[Pipeline]:
    """The pipeline, up and answering, for the length of a block. Raises BenchError if it does not start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    own = {"BROKER_URL": ground.broker(DATABASE), "PUBLIC_URL": url, "HUBSPOT_CLIENT_SECRET": SECRET}
    variables = environment(vendor.settings | own)
    with group(ground.folder / "celery") as processes:
        worker = processes.add("peer-worker", worker_words("tests.benchmarks.peers.celery_tasks", "peer"), variables)
        processes.add("peer-web", gunicorn("tests.benchmarks.peers.celery_web", port), variables)
        processes.await_words(worker, b"peer ready")
        pipeline = Pipeline("celery", url, processes)
        system.wait_ready(processes, pipeline.webhooks)
        yield pipeline


def worker_words(module: str, queues: str) -> tuple[str, ...]:
    """A prefork worker of four, with nothing on that costs time and is not needed."""
    off = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
    words = ("worker", "--pool=prefork", "--concurrency=4", f"--queues={queues}", *off)
    return "revpipe.lifeline", "celery", "-A", module, *words
