"""The DBOS pipeline, started: on the product's own PostgreSQL server, under the same gunicorn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from revpipe.drill.fleet import environment
from revpipe.local.sockets import free_port
from tests.benchmarks import system
from tests.benchmarks.ground import Ground
from tests.benchmarks.peers.celery_pipeline import Pipeline, gunicorn
from tests.benchmarks.processes import group
from tests.benchmarks.vendor import Vendor
from tests.benchmarks.webhooks import SECRET

THREADS: Final = "16"
"""In each process, that carry out workflows: in short trials of 4, 8, 16 and 64 on two cores none did better."""


@contextmanager
def running(ground: Ground, vendor: Vendor) -> Iterator[Pipeline]:
    """The pipeline, up and answering, for the length of a block. Raises BenchError if it does not start."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = ground.database("dbos_peer")
    own = {"PEER_DATABASE_URL": database, "PEER_THREADS": THREADS, "PUBLIC_URL": url, "HUBSPOT_CLIENT_SECRET": SECRET}
    with group(ground.folder / "dbos") as processes:
        words = gunicorn("tests.benchmarks.peers.dbos_web", port, factory="make_app()")
        processes.add("dbos-web", words, environment(vendor.settings | own))
        pipeline = Pipeline("dbos", url, processes)
        system.wait_ready(processes, pipeline.webhooks)
        yield pipeline
