"""The keeper: feeds the queues from the ledger, sweeps, expires. It does not run through the broker."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from config.queues import QUEUES
from revpipe import approvals, balance, cached_parts, feed, leases, migrate, parked, sweep, undeliverable, work
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.notifying import slack_people, telling
from revpipe.services import Services

log = structlog.get_logger(__name__)

DUTY: Final = "keeper"
LEASE: Final = timedelta(seconds=15)
ROUND_SECONDS: Final = 0.5
SWEEP_SECONDS: Final = 5.0
PAUSE: Final = timedelta(seconds=60)
"""A keeper that was silent for so long, frozen or cut off, counts as one that has just come on duty."""
BALANCE_SECONDS: Final = 60.0
DEAD_SECONDS: Final = 2.0
TIDY_SECONDS: Final = 3600.0


# Not by EXISTS: with that, and many rows due, the planner reads all of them for every queue that has none.
QUEUES_DUE: Final = (
    "SELECT q FROM unnest(CAST(:queues AS text[])) AS q WHERE least("
    "(SELECT due_at FROM signals WHERE queue = q AND sent_at IS NULL ORDER BY due_at LIMIT 1),"
    "(SELECT due_at FROM actions WHERE queue = q AND sent_at IS NULL ORDER BY due_at LIMIT 1),"
    "(SELECT due_at FROM approval_requests WHERE queue = q AND sent_at IS NULL ORDER BY due_at LIMIT 1)) <= :now"
)


class Keeper:
    """One keeper process. Two may run; the lease row in the ledger chooses which one works."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._holder = work.worker_name()
        self._due: dict[str, float] = {}
        self._since: datetime | None = None
        self._round_at: datetime | None = None

    def run(self, stop: Callable[[], bool]) -> None:
        """Work round after round until `stop()`; a database that is down is waited for."""
        while not stop():
            try:
                self.round()
            except SQLAlchemyError as error:
                log.warning("keeper_waits", error=type(error).__name__)
                time.sleep(2)
            time.sleep(ROUND_SECONDS)
        try:
            with transaction(self._services.engine) as tx:
                leases.release(tx, DUTY, self._holder, self._services.clock.now())
        except SQLAlchemyError:
            log.warning("keeper_lease_not_released")

    def round(self) -> bool:
        """One round; False if another keeper has the duty."""
        services = self._services
        with transaction(services.engine) as tx:
            if not leases.hold(tx, DUTY, self._holder, LEASE, services.clock.now()):
                self._since = None
                return False
        since = self._on_duty_since()
        if self._every("tidy", TIDY_SECONDS):
            # First of all: after a long pause this month may have no partition yet, and the sweep writes trail rows.
            with transaction(services.engine) as tx:
                migrate.ensure_partitions(tx, services.clock.now())
                cached_parts.forget_expired(tx, services.clock.now())
                slack_people.forget_presses(tx, services.clock.now())
        self._watch_broker()
        if self._every("sweep", SWEEP_SECONDS):
            sweep.sweep(services)
            approvals.expire_due(services)
        if self._every("balance", BALANCE_SECONDS):
            balance.watch(services, since)
        if self._every("dead", DEAD_SECONDS):
            undeliverable.collect(services)
        parked.drain(services)
        telling.tell(services)
        feed.offer(services, self._queues_due())
        return True

    def _watch_broker(self) -> None:
        """A broker whose mark is gone has lost everything: send again what it held."""
        services = self._services
        try:
            mark = services.dispatcher.epoch()
            with transaction(services.engine) as tx:
                known = (leases.state(tx, DUTY) or {}).get("epoch")
            if mark is not None and mark == known:
                return
            fresh = services.dispatcher.begin_epoch()
        except Transient:
            return
        if known is not None:
            sweep.after_flush(services)
        with transaction(services.engine) as tx:
            leases.set_epoch(tx, DUTY, fresh)

    def _queues_due(self) -> list[str]:
        """Queues that have a due row: one index probe each, however many rows wait."""
        with transaction(self._services.engine) as tx:
            found = tx.execute(text(QUEUES_DUE), {"queues": list(QUEUES), "now": self._services.clock.now()})
            return list(found.scalars())

    def _on_duty_since(self) -> datetime:
        """Since when the queues are fed without a pause, by this keeper."""
        now = self._services.clock.now()
        if self._since is None or self._round_at is None or now - self._round_at > PAUSE:
            self._since = now
        self._round_at = now
        return self._since

    def _every(self, job: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(job, 0.0):
            return False
        self._due[job] = now + seconds
        return True
