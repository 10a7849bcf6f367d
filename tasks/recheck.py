"""The task that looks at the facts of approved actions once more."""

from typing import Any

from celery import shared_task

from revpipe import recheck as work
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="recheck")
def recheck(self: StageTask, message: dict[str, Any]) -> None:
    """Look at a chunk of approved action ids; those whose facts hold go on to their adapters' queues."""
    self.run_stage(work.run, message)
