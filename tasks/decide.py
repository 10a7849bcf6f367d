"""The task of stage decide."""

from typing import Any

from celery import shared_task

from revpipe import decide as stage
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="decide")
def decide(self: StageTask, message: dict[str, Any]) -> dict[str, Any] | None:
    """Take a chunk of signal ids through stage decide; hand on those that go on."""
    return self.run_stage(stage.run, message)
