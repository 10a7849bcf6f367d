"""Stage execute: release a plan's actions to their adapters' queues, or to a person first."""

import uuid
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import approvals, dispositions, stage, trail, work
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.releases import make_ready
from revpipe.services import Services
from revpipe.work import SIGNALS, Chunk, Claim

STAGE: Final = "execute"


def run(chunk: Chunk, services: Services) -> None:
    """Release the planned actions of each signal of the chunk. Nothing goes on in the chain."""
    stage.run(STAGE, chunk, services, _release)


def _release(held: Claim, services: Services) -> stage.HandOn:
    now = services.clock.now()
    handed = stage.HandOn()
    crash_point("execute.worked", held.rows)
    with transaction(services.engine) as tx:
        ours = set(work.still_held(tx, held))
        rows = [row for row in held.rows if row["signal_id"] in ours]
        entries = [
            trail.Entry("released", row["signal_id"], None, row["correlation_id"], stage.timing(row, held, now))
            for row in rows
        ]
        trail.record(tx, now, entries)
        free = []
        for action in _planned(tx, ours):
            policy = services.policy[action["type"]]
            if policy.needs_person(action["approval"]):
                approvals.request(tx, action, policy.expires, now)
            else:
                free.append(action)
        handed.offers += make_ready(tx, free, now)
        work.move(tx, SIGNALS, sorted(ours), {"state": "waiting", "stage": None, "queue": None})
        # Replayed from here, a signal may have nothing left to release.
        dispositions.settle(tx, sorted(ours), now)
        crash_point("execute.written", held.rows)
    return handed


def _planned(tx: Connection, signal_ids: set[uuid.UUID]) -> list[dict[str, Any]]:
    rows = tx.execute(
        sql(
            "SELECT action_id, signal_id, correlation_id, type, adapter, priority, approval FROM actions"
            " WHERE signal_id = ANY(:ids) AND state = 'planned' ORDER BY action_id FOR UPDATE"
        ),
        {"ids": sorted(signal_ids)},
    )
    return [dict(row) for row in rows.mappings()]
