"""The task that carries out actions, on the queues of their adapters."""

from typing import Any

from celery import shared_task

from revpipe import act as work
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="act")
def act(self: StageTask, message: dict[str, Any]) -> None:
    """Carry out a chunk of action ids, all of one adapter."""
    self.run_stage(work.run, message)
