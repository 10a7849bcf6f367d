"""What beat sends: only what may come late without harm."""

from celery import shared_task

from revpipe import cached_parts
from revpipe.db import transaction
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="maintenance.forget_expired_parts")
def forget_expired_parts(self: StageTask) -> None:
    """Delete cached context whose time is over."""
    with transaction(self.services.engine) as tx:
        cached_parts.forget_expired(tx, self.services.clock.now())
