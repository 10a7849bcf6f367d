"""The task of the second pass of stage decide."""

from typing import Any

from celery import shared_task

from revpipe import second_pass as stage
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="decide_llm")
def decide_llm(self: StageTask, message: dict[str, Any]) -> None:
    """Put a chunk of signal ids to the language model; what has something due goes on in chains of its own."""
    self.run_stage(stage.run, message)
