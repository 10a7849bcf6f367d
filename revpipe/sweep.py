"""What has not moved in time, found by index and made due again: never what merely waits its turn."""

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import Connection, text

from config.queues import QUEUES
from revpipe import quarantine, trail
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.services import Services
from revpipe.work import ACTIONS, REQUESTS, SIGNALS, Table

log = structlog.get_logger(__name__)

LOST_AFTER: Final = timedelta(seconds=10)
"""How long after its sending an unclaimed row is looked at: longer than a message needs to reach a worker."""
SKEW: Final = timedelta(seconds=2)
BATCH: Final = 500
TABLES: Final = (SIGNALS, ACTIONS, REQUESTS)


def sweep(services: Services) -> dict[str, int]:
    """Make due again what was lost, and say how many rows by cause. Two sweeps at once are harmless."""
    now = services.clock.now()
    caught: dict[str, int] = {}
    for table in TABLES:
        with transaction(services.engine) as tx:
            found = _again(tx, table, "lease_expired", "t.lease_until < :limit", {"limit": now}, now, quarantine.ENTER)
            caught["lease_expired"] = caught.get("lease_expired", 0) + found
        for queue in _suspicious(services, table, now):
            try:
                head = services.dispatcher.oldest(queue)
            except Transient:
                continue
            limit = now - LOST_AFTER if head is None else min(now - LOST_AFTER, head - SKEW)
            where = "t.lease_until IS NULL AND t.queue = :queue AND t.sent_at < :limit"
            with transaction(services.engine) as tx:
                found = _again(tx, table, "message_lost", where, {"queue": queue, "limit": limit}, now)
                caught["message_lost"] = caught.get("message_lost", 0) + found
    if any(caught.values()):
        log.warning("swept", **caught)
    return caught


def after_flush(services: Services) -> int:
    """The broker lost all it held: everything sent and not claimed is due again. Returns how many rows."""
    now = services.clock.now()
    found = 0
    for table in TABLES:
        while True:
            with transaction(services.engine) as tx:
                some = _again(tx, table, "broker_flushed", "t.lease_until IS NULL", {}, now)
            found += some
            if some < BATCH:
                break
    log.warning("broker_flushed", rows=found)
    return found


def _suspicious(services: Services, table: Table, now: datetime) -> list[str]:
    with transaction(services.engine) as tx:
        queues = tx.execute(
            text(
                f"SELECT DISTINCT queue FROM {table.name} WHERE queue IS NOT NULL AND sent_at IS NOT NULL"  # noqa: S608
                " AND lease_until IS NULL AND sent_at < :limit"
            ),
            {"limit": now - LOST_AFTER},
        ).scalars()
        return [queue for queue in queues if queue in QUEUES]


def _again(
    tx: Connection, table: Table, cause: str, where: str, values: dict[str, object], now: datetime, extra: str = ""
) -> int:
    rows = (
        tx.execute(
            text(
                f"WITH lost AS (SELECT t.{table.key}, t.queue FROM {table.name} AS t"  # noqa: S608
                f" WHERE t.queue IS NOT NULL AND t.sent_at IS NOT NULL AND {where}"
                f" ORDER BY t.sent_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED)"
                f" UPDATE {table.name} AS t"
                f" SET sent_at = NULL, claim_id = NULL, lease_until = NULL, due_at = :now{extra}"
                f" FROM lost WHERE t.{table.key} = lost.{table.key}"
                f" RETURNING t.signal_id, t.correlation_id, lost.queue, t.attempts, t.worker"
                + (", NULL::uuid AS action_id" if table is SIGNALS else ", t.action_id")
            ),
            {**values, "now": now},
        )
        .mappings()
        .all()
    )
    entries = [
        trail.Entry(
            "swept",
            row["signal_id"],
            row["action_id"],
            row["correlation_id"],
            {"cause": cause, "queue": row["queue"], "attempt": row["attempts"], "worker": row["worker"]},
        )
        for row in rows
    ]
    trail.record(tx, now, entries)
    crash_point("sweep.written")
    return len(rows)
