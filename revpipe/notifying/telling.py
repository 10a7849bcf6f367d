"""From what has changed of approvals to what is to be sent: the keeper's step, twice a second."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from config.queues import notices
from revpipe import approvals, bulk
from revpipe.db import sql, transaction
from revpipe.ids import uuid7
from revpipe.notifying import ladder
from revpipe.notifying.ladder import Recipient
from revpipe.services import Services

BATCH: Final = 100
PRIORITY: Final = "high"
"""Whatever the signal was: a person's time runs from when they are asked."""
# Not the stronger lock: rows that refer to an approval are made by those who hold requests, whom this may wait for.
_UNTOLD: Final = (
    "SELECT approval_id, action_id, revision FROM approvals WHERE told_revision < revision"
    " ORDER BY changed_at LIMIT :most FOR NO KEY UPDATE SKIP LOCKED"
)


def tell(services: Services) -> list[str]:
    """Let every request of a changed approval be due, and make those that are missing; returns the queues to offer.

    An approval that somebody changes just now is left to the next time. Two at once are harmless.
    """
    now = services.clock.now()
    queues: set[str] = set()
    with transaction(services.engine) as tx:
        changed = tx.execute(sql(_UNTOLD), {"most": BATCH}).all()
        ids = sorted(row.approval_id for row in changed)
        if not ids:
            return []
        # Held before they are looked at: what a worker just recorded must be seen, or its row would be left asleep.
        held = tx.execute(
            sql(
                "SELECT request_id FROM approval_requests WHERE approval_id = ANY(:ids) AND note IS NULL"
                " ORDER BY request_id FOR UPDATE"
            ),
            {"ids": ids},
        ).scalars()
        queues.update(_wake(tx, list(held), now))
        for row in sorted(changed, key=lambda row: str(row.approval_id)):
            queues.update(ask(tx, services, row.action_id, now))
        tx.execute(
            sql("UPDATE approvals SET told_revision = revision WHERE approval_id = ANY(:ids)"),
            {"ids": ids},
        )
    return sorted(queues)


def ask(tx: Connection, services: Services, action_id: uuid.UUID, now: datetime) -> list[str]:
    """Make the requests by which an open approval's approver is asked next, if there are none that may reach them.

    Two at once make them once. Returns the queues to offer.
    """
    view = approvals.view(tx, action_id)
    if view is None or view.state != "open":
        return []
    had = tx.execute(
        sql("SELECT way, address, state FROM approval_requests WHERE approval_id = :id AND note IS NULL"),
        {"id": view.approval_id},
    ).all()
    states = {(row.way, row.address): row.state for row in had}
    for rung in ladder.rungs(tx, services.settings, view.approver):
        known = [states.get((one.way, one.address)) for one in rung]
        if any(state in ("wanted", "shown") for state in known):
            return []
        missing = [one for one, state in zip(rung, known, strict=True) if state is None]
        if missing:
            _insert(tx, view, missing, now)
            return sorted({notices(one.way, PRIORITY) for one in missing})
    return []


def _wake(tx: Connection, ids: Sequence[uuid.UUID], now: datetime) -> list[str]:
    """Rows at rest are due at once; those on their way see the present revision when they are worked."""
    found = tx.execute(
        sql(
            "UPDATE approval_requests SET queue = 'notify.' || way || '.' || priority, due_at = :now, sent_at = NULL,"
            " attempts = 0 WHERE request_id = ANY(:ids) AND queue IS NULL AND state = 'shown' RETURNING queue"
        ),
        {"ids": list(ids), "now": now},
    )
    return list(found.scalars())


def _insert(tx: Connection, view: approvals.View, recipients: Sequence[Recipient], now: datetime) -> None:
    about = tx.execute(
        sql("SELECT signal_id, correlation_id FROM actions WHERE action_id = :id"), {"id": view.action_id}
    ).one()
    bulk.insert(
        tx,
        "approval_requests",
        [
            {
                "request_id": uuid7(),
                "approval_id": view.approval_id,
                "action_id": view.action_id,
                "signal_id": about.signal_id,
                "correlation_id": about.correlation_id,
                "deal_id": view.deal_id,
                "priority": PRIORITY,
                "way": one.way,
                "address": one.address,
                "user_id": one.user_id,
                "state": "wanted",
                "created_at": now,
                "queue": notices(one.way, PRIORITY),
                "due_at": now,
            }
            for one in recipients
        ],
        "ON CONFLICT DO NOTHING",
    )


def queue_of(row: Mapping[str, Any]) -> str:
    """The queue that brings a request up to date."""
    return notices(row["way"], row["priority"])


def whisper(tx: Connection, of: Mapping[str, Any], place: str, user: str, text: str, now: datetime) -> str:
    """Let `user` be told something in `place` that nobody else sees; `of` is the approval's row. Returns the queue."""
    queue = notices("slack", PRIORITY)
    bulk.insert(
        tx,
        "approval_requests",
        [
            {
                "request_id": uuid7(),
                **{name: of[name] for name in ("approval_id", "action_id", "signal_id", "correlation_id", "deal_id")},
                "priority": PRIORITY,
                "way": "slack",
                "address": place,
                "note": text,
                "ref": user,
                "state": "wanted",
                "created_at": now,
                "queue": queue,
                "due_at": now,
            }
        ],
    )
    return queue
