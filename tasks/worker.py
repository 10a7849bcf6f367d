"""A worker process: any set of queues, only the settings that those need."""

import os
import sys
from collections.abc import Sequence

import structlog
from celery.signals import setup_logging, worker_ready

from config.queues import select
from config.settings import load
from revpipe import lifeline, observability
from revpipe.bootstrap import for_worker
from tasks.dispatch import CeleryDispatcher


@setup_logging.connect(weak=False)
def _leave_logging_alone(**_: object) -> None:
    """Celery sets up no logging of its own when somebody listens here: ours redacts, and is set up once."""


@worker_ready.connect(weak=False)
def _say_ready(**_: object) -> None:
    structlog.get_logger(__name__).info("worker_ready")


def main(words: Sequence[str], concurrency: int) -> None:
    """Work the queues that `words` name until told to stop. Raises SettingsError and Misconfigured."""
    settings = load()
    queues = select(tuple(words))
    observability.configure(settings, "worker")
    lifeline.watch()
    services = for_worker(settings, queues, connections=concurrency + 2)
    dispatcher = services.dispatcher
    if not isinstance(dispatcher, CeleryDispatcher):
        raise TypeError("a worker needs the Celery dispatcher")
    app = dispatcher.app
    app.services = services
    app.set_default()
    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={concurrency}",
            f"--queues={','.join(queues)}",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            f"--hostname=worker-{os.getpid()}@%h",
        ]
    )


if __name__ == "__main__":
    main(sys.argv[2:], int(sys.argv[1]))
