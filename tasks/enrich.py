"""The task of stage enrich."""

from typing import Any

from celery import shared_task

from revpipe import enrich as stage
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="enrich")
def enrich(self: StageTask, message: dict[str, Any]) -> dict[str, Any] | None:
    """Take a chunk of signal ids through stage enrich; hand on those that go on."""
    return self.run_stage(stage.run, message)
