"""Stage execute: release a plan's actions to their adapters' queues, or to a person first."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import approvals, dispositions, recipients, stage, trail, work
from revpipe.columns import Uuids
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
        asked, free = approvals.sort(tx, _sendable(tx, _planned(tx, ours), services, now), services)
        approvals.request(tx, asked, services, now)
        handed.offers += _make_ready(tx, free, services, now)
        work.move(tx, SIGNALS, sorted(ours), {"state": "waiting", "stage": None, "queue": None})
        # Replayed from here, a signal may have nothing left to release.
        dispositions.settle(tx, sorted(ours), now)
        crash_point("execute.written", held.rows)
    return handed


def _sendable(tx: Connection, actions: list[dict[str, Any]], services: Services, now: datetime) -> list[dict[str, Any]]:
    """The actions but for those that must not go to their recipients, which end here."""
    kept = recipients.kept_from(tx, actions, services.policy, now)
    entries = []
    for action in actions:
        reason = kept.get(action["action_id"])
        if reason is not None:
            values = {"id": action["action_id"], "reason": reason, "now": now}
            tx.execute(sql(_SUPPRESS), values)
            detail = {"type": action["type"], "reason": reason}
            key = action["action_id"]
            entries.append(trail.Entry("suppressed", action["signal_id"], key, action["correlation_id"], detail))
    trail.record(tx, now, entries)
    return [action for action in actions if action["action_id"] not in kept]


_SUPPRESS: Final = (
    "UPDATE actions SET state = 'suppressed', reason = :reason, done_at = :now, queue = NULL WHERE action_id = :id"
)


def _make_ready(tx: Connection, actions: Iterable[Mapping[str, Any]], services: Services, now: datetime) -> list[str]:
    """Let actions go at once, or when the quiet hours of their type are over."""
    by_due: dict[datetime, list[Mapping[str, Any]]] = {}
    for action in actions:
        quiet = services.policy[action["type"]].quiet
        by_due.setdefault((quiet.until(now) if quiet else None) or now, []).append(action)
    return [queue for due, some in by_due.items() for queue in make_ready(tx, some, due)]


def _planned(tx: Connection, signal_ids: set[uuid.UUID]) -> list[dict[str, Any]]:
    rows = tx.execute(
        sql(
            "SELECT action_id, signal_id, correlation_id, type, adapter, priority, approval, expires_s, created_at,"
            " replayed_at, recipient FROM actions"
            " WHERE signal_id = ANY(:ids) AND state = 'planned' ORDER BY action_id FOR UPDATE"
        ),
        {"ids": Uuids(sorted(signal_ids))},
    )
    return [dict(row) for row in rows.mappings()]
