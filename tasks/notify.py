"""The task that asks and tells people, on the queues of their ways."""

from typing import Any

from celery import shared_task

from revpipe.notifying import run as work
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="notify")
def notify(self: StageTask, message: dict[str, Any]) -> None:
    """Bring a chunk of requests up to date, all of one way."""
    self.run_stage(work.run, message)
