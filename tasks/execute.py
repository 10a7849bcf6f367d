"""The task of stage execute: releases the actions of signals."""

from typing import Any

from celery import shared_task

from revpipe import execute as stage
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="execute")
def execute(self: StageTask, message: dict[str, Any]) -> None:
    """Release the planned actions of a chunk of signal ids. The chain ends here."""
    self.run_stage(stage.run, message)
