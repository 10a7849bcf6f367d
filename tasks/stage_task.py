"""What every task has round its one call: services, correlation, and an end for messages it can't read."""

import json
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import Task
from celery.signals import task_postrun

from config.queues import QUEUES
from revpipe import dead_letters, work
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.observability import bind_correlation
from revpipe.services import Services
from revpipe.work import Chunk, NewerMessage
from tasks.app import BEGAN, correlation_of
from tasks.giving_way import GivingWay

log = structlog.get_logger(__name__)


@task_postrun.connect(weak=False)
def _after_the_next_link(task: Any = None, **_: Any) -> None:
    """The next link is published by now, and the message that brought us here is not yet acknowledged."""
    if isinstance(task, StageTask):
        crash_point(f"{task.name}.handed_on")


class StageTask(Task):  # type: ignore[misc]
    """Base of the stage tasks. A stage settles its own rows: tried again, parked or buried, in the ledger.

    So a task fails only when the database can't be reached; its rows' leases then run out and the sweep sends
    them again.
    """

    abstract = True
    ignore_result = True
    Request = "tasks.queue_request:QueueRequest"

    @property
    def services(self) -> Services:
        """What `tasks.worker` made for this process."""
        services: Services = self.app.services
        return services

    def run_stage(self, run: Callable[[Chunk, Services], Chunk | None], message: Any) -> dict[str, Any] | None:
        """Read the message, run the stage, and return what the next link gets; nothing ends the chain."""
        setattr(self.request, BEGAN, self.services.clock.now().timestamp())
        with bind_correlation(correlation_of(self.request) or str(self.request.id)):
            try:
                chunk = Chunk.from_message(message)
            except NewerMessage as error:
                # Its rows were stamped as sent and nobody claims them: the sweep has them sent again, by whichever
                # release the keeper is of, once for each ten seconds at the most.
                log.warning("newer_message", task=self.name, error=str(error))
                onward = None
            except (ValueError, KeyError, TypeError) as error:
                self._bury(message, error)
                onward = None
            else:
                self._let_urgent_ones_pass()
                began = time.monotonic()
                onward = run(chunk, self.services)
                self._tell_if_slow(time.monotonic() - began)
        if onward is None:
            self.request.chain = None
            return None
        return onward.to_message()

    def _tell_if_slow(self, took: float) -> None:
        """Threads can't be stopped, so a time limit is no limit but an alarm: its work held up what came behind."""
        queue = QUEUES.get(self._queue or "")
        if queue is not None and took > queue.time_limit:
            log.warning("slow_message", task=self.name, queue=queue.name, took_s=round(took, 1))

    def _let_urgent_ones_pass(self) -> None:
        """Before the claim: while it waits for its turn, the rows are nobody's and their lease does not run."""
        giving_way: GivingWay | None = self.app.giving_way
        if giving_way is not None and self._queue is not None:
            giving_way.let_pass(self._queue)

    @property
    def _queue(self) -> str | None:
        """The queue that the message came from."""
        found: str | None = (self.request.delivery_info or {}).get("routing_key")
        return found

    def _bury(self, message: Any, error: Exception) -> None:
        log.error("unreadable_message", task=self.name, error=str(error))
        letter = dead_letters.Letter(
            key=f"message:{self.request.id}",
            stage=str(self.name),
            queue=self._queue,
            reason="unreadable_message",
            error=f"{type(error).__name__}: {error}",
            message=json.dumps(message, default=str).encode(),
            worker=work.worker_name(),
        )
        with transaction(self.services.engine) as tx:
            dead_letters.bury(tx, [letter], self.services.clock.now())
