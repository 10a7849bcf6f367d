"""A worker process: any set of queues, only the settings that those need."""

import os
import sys
from collections.abc import Sequence

import structlog
from celery.signals import setup_logging, worker_ready, worker_shutting_down
from celery.utils.nodenames import gethostname
from celery.worker import state

from config.queues import select
from config.settings import load
from revpipe import interpreter, lifeline, observability
from revpipe.bootstrap import for_worker
from tasks.dispatch import CeleryDispatcher
from tasks.giving_way import GivingWay
from tasks.parking import Parking
from tasks.watchdog import DEAF_AFTER, LOOK_SECONDS, Watchdog


@setup_logging.connect(weak=False)
def _leave_logging_alone(**_: object) -> None:
    """Celery sets up no logging of its own when somebody listens here: ours redacts, and is set up once."""


@worker_ready.connect(weak=False)
def _say_ready(**_: object) -> None:
    structlog.get_logger(__name__).info("worker_ready")


def main(words: Sequence[str], concurrency: int, *, gives_way: bool = False, deaf_after: float = DEAF_AFTER) -> None:
    """Work the queues that `words` name until told to stop. Raises SettingsError and Misconfigured.

    One that `gives_way` shares its machine with the workers of urgent queues, and lets these go first.
    A worker that takes nothing from its filled queues for `deaf_after` seconds ends itself (tasks/watchdog.py).
    """
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
    app.parking = Parking(dispatcher.broker.put_dead, services.engine)
    app.watchdog = _watchdog(dispatcher, queues, concurrency, deaf_after)
    app.giving_way = GivingWay(dispatcher.broker.waiting) if gives_way else None
    app.set_default()
    interpreter.settle()
    # Not by Celery's command line: that reads a shell, an editor's parts and Flower, half a second and 25 MB of them.
    worker = app.Worker(
        hostname=f"worker-{os.getpid()}@{gethostname()}",
        pool_cls="threads",
        concurrency=concurrency,
        queues=list(queues),
        loglevel="WARNING",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def _watchdog(dispatcher: CeleryDispatcher, queues: Sequence[str], concurrency: int, deaf_after: float) -> Watchdog:
    watchdog = Watchdog(
        lambda: sum(dispatcher.broker.waiting(queue) for queue in queues),
        lambda: concurrency - len(state.reserved_requests),
        deaf_after=deaf_after,
        every=min(LOOK_SECONDS, deaf_after / 4),
    )

    @worker_shutting_down.connect(weak=False)
    def _stop(**_: object) -> None:
        watchdog.stop()

    watchdog.start()
    return watchdog


if __name__ == "__main__":
    main(sys.argv[3:], int(sys.argv[1]), gives_way=int(sys.argv[2]) > 0)
