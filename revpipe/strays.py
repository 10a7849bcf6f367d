"""Rows in queues that are no longer in the queue table: brought to the queue that their work has now."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from sqlalchemy import Connection, text

from config.queues import QUEUES, queue_for
from revpipe import trail
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.work import ACTIONS, REQUESTS, SIGNALS, Table

log = structlog.get_logger(__name__)

BATCH: Final = 500
_WORK: Final = {
    SIGNALS: "stage, NULL AS adapter",
    ACTIONS: "'execute' AS stage, adapter",
    REQUESTS: "'notify' AS stage, way AS adapter",
}


def bring_back(services: Services) -> int:
    """Make rows of queues that are gone due in those that took their place; returns how many.

    A release that renames a queue would otherwise leave its rows where no worker looks. Rows for which there is
    no queue at all stay, and the balance gives the alarm. Claimed rows are left to their worker and to the sweep.
    """
    now = services.clock.now()
    moved = 0
    for table in _WORK:
        with transaction(services.engine) as tx:
            rows = [(row, _home(row)) for row in _found(tx, table)]
            known = [(row, queue) for row, queue in rows if queue in QUEUES]
            for queue in sorted({queue for _, queue in known}):
                ids = sorted(row["id"] for row, its in known if its == queue)
                tx.execute(
                    text(
                        f"UPDATE {table.name} SET queue = :queue, sent_at = NULL, claim_id = NULL, lease_until = NULL"  # noqa: S608
                        f" WHERE {table.key} = ANY(:ids)"
                    ),
                    {"queue": queue, "ids": ids},
                )
            trail.record(tx, now, [_entry(row, queue) for row, queue in known])
        moved += len(known)
    if moved:
        log.warning("strays_brought_back", rows=moved)
    return moved


def _found(tx: Connection, table: Table) -> list[Mapping[str, Any]]:
    """Rows of unknown queues, by the indexes of what is due and of what was sent."""
    columns = _WORK[table]
    action_id = "NULL::uuid" if table is SIGNALS else "action_id"
    strays = f"SELECT {table.key} FROM {table.name} WHERE queue IS NOT NULL AND queue <> ALL(:queues)"  # noqa: S608
    rows = tx.execute(
        text(
            f"SELECT {table.key} AS id, signal_id, {action_id} AS action_id, correlation_id, queue, priority, {columns}"  # noqa: S608
            f" FROM {table.name} WHERE {table.key} IN (({strays} AND sent_at IS NULL LIMIT {BATCH})"
            f" UNION ALL ({strays} AND sent_at IS NOT NULL LIMIT {BATCH}))"
            f" AND queue <> ALL(:queues) AND lease_until IS NULL ORDER BY {table.key} FOR UPDATE SKIP LOCKED"
        ),
        {"queues": list(QUEUES)},
    )
    return [dict(row) for row in rows.mappings()]


def _home(row: Mapping[str, Any]) -> str:
    return queue_for(str(row["stage"]), str(row["priority"]), row["adapter"])


def _entry(row: Mapping[str, Any], queue: str) -> trail.Entry:
    detail = {"from": row["queue"], "to": queue}
    return trail.Entry("requeued", row["signal_id"], row["action_id"], row["correlation_id"], detail)
