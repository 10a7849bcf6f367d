"""What beat sends: only what may come late without harm."""

from celery import shared_task

from revpipe import cached_parts, prune
from revpipe.bootstrap import load_retention
from revpipe.db import transaction
from revpipe.seals import sealer
from tasks.stage_task import StageTask


@shared_task(bind=True, base=StageTask, name="maintenance.forget_expired_parts")
def forget_expired_parts(self: StageTask) -> None:
    """Delete cached context whose time is over."""
    with transaction(self.services.engine) as tx:
        cached_parts.forget_expired(tx, self.services.clock.now())


@shared_task(bind=True, base=StageTask, name="maintenance.prune")
def prune_over(self: StageTask) -> None:
    """Let go of what is over and past its retention, as far as one run goes; without such, nothing is written."""
    services, retention = self.services, load_retention()
    now = services.clock.now()
    if prune.anything(services.engine, retention, now):
        prune.run(services.engine, retention, now, "beat", prune.AT_ONCE)


@shared_task(bind=True, base=StageTask, name="maintenance.seal")
def seal(self: StageTask) -> None:
    """Take what was decided and done by hand since the last time into the chain of seals."""
    sealer.run(self.services)
