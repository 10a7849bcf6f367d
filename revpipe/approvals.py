"""A person's yes or no on an action, or its expiry: exactly one of them wins."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from revpipe import dispositions, feed, trail
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.ids import uuid7
from revpipe.releases import make_ready
from revpipe.services import Services


def request(tx: Connection, action: Mapping[str, Any], lasts: timedelta, now: datetime) -> None:
    """Ask for a person's word on a planned action, for as long as policy says."""
    tx.execute(
        text(
            "INSERT INTO approvals (approval_id, action_id, state, requested_at, expires_at)"
            " VALUES (:approval_id, :action_id, 'open', :now, :expires_at) ON CONFLICT DO NOTHING"
        ),
        {"approval_id": uuid7(), "action_id": action["action_id"], "now": now, "expires_at": now + lasts},
    )
    _set_state(tx, action["action_id"], "awaiting_approval", None, None)
    detail = {"expires_h": round(lasts.total_seconds() / 3600, 2)}
    trail.record(tx, now, [_entry("approval_requested", action, detail)])


def approve(services: Services, action_id: uuid.UUID, by: str) -> str:
    """A person's yes: the action goes to its adapter. Raises Permanent if it was decided already."""
    now = services.clock.now()
    with transaction(services.engine) as tx:
        action = _decide(tx, action_id, "approved", by, None, now)
        queues = make_ready(tx, [action], now)
        trail.record(tx, now, [_entry("approved", action, {})])
    feed.offer(services, queues)
    return "approved"


def reject(services: Services, action_id: uuid.UUID, by: str, reason: str | None = None) -> str:
    """A person's no, with a reason. Raises Permanent if it was decided already."""
    now = services.clock.now()
    with transaction(services.engine) as tx:
        action = _decide(tx, action_id, "rejected", by, reason, now)
        _set_state(tx, action_id, "rejected", "rejected_by_person", now)
        trail.record(tx, now, [_entry("rejected", action, {})])
        dispositions.settle(tx, [action["signal_id"]], now)
    return "rejected"


def expire_due(services: Services, limit: int = 100) -> int:
    """End the approvals whose time is up, without effect; returns how many."""
    now = services.clock.now()
    with transaction(services.engine) as tx:
        due = tx.execute(
            text(
                "SELECT action_id FROM approvals WHERE state = 'open' AND expires_at <= :now"
                " ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED"
            ),
            {"now": now, "limit": limit},
        ).scalars()
        ids = list(due)
        signals: list[uuid.UUID] = []
        for action_id in ids:
            action = _decide(tx, action_id, "expired", "policy", None, now)
            _set_state(tx, action_id, "expired", "approval_expired", now)
            trail.record(tx, now, [_entry("expired", action, {"by": "policy"})])
            signals.append(action["signal_id"])
        # All at once, in id order: one by one they could wait in a ring with actions that end just now.
        dispositions.settle(tx, signals, now)
        crash_point("approval.written")
    return len(ids)


def listing(tx: Connection, limit: int = 50) -> list[dict[str, Any]]:
    """Open approvals, the one that expires first in front, with what is to be approved."""
    rows = tx.execute(
        text(
            "SELECT p.action_id, p.requested_at, p.expires_at, a.type, a.params, a.rule_id, a.deal_id, a.signal_id,"
            " c.parts -> 'deal' -> 'value' ->> 'name' AS deal_name FROM approvals p JOIN actions a USING (action_id)"
            " LEFT JOIN contexts c USING (signal_id) WHERE p.state = 'open'"
            " ORDER BY p.expires_at LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def approved(tx: Connection, action_id: uuid.UUID) -> dict[str, Any]:
    """What was approved: the action's type and params. Raises NoResultFound for an id that is no action's."""
    row = tx.execute(text("SELECT type, params FROM actions WHERE action_id = :id"), {"id": action_id})
    return dict(row.mappings().one())


def _decide(
    tx: Connection, action_id: uuid.UUID, state: str, by: str, reason: str | None, now: datetime
) -> Mapping[str, Any]:
    """Move the approval out of `open`, if nobody has yet, and return its action."""
    won = tx.execute(
        text(
            "UPDATE approvals SET state = :state, decided_at = :now, decided_by = :by, reason = :reason"
            " WHERE action_id = :action_id AND state = 'open'"
        ),
        {"state": state, "now": now, "by": by, "reason": reason, "action_id": action_id},
    ).rowcount
    if not won:
        raise Permanent(_refusal(tx, action_id))
    action = (
        tx.execute(text("SELECT * FROM actions WHERE action_id = :id FOR UPDATE"), {"id": action_id}).mappings().one()
    )
    return dict(action)


def _refusal(tx: Connection, action_id: uuid.UUID) -> str:
    found = tx.execute(
        text("SELECT state, decided_by, decided_at FROM approvals WHERE action_id = :id"), {"id": action_id}
    ).first()
    if found is None:
        return f"no approval is asked for action {action_id}; list the open ones with: revpipe approvals list"
    at = found.decided_at.astimezone(UTC)
    return f"action {action_id} was {found.state} already, by {found.decided_by} at {at:%Y-%m-%d %H:%M} UTC"


def _set_state(tx: Connection, action_id: uuid.UUID, state: str, reason: str | None, done_at: datetime | None) -> None:
    tx.execute(
        text(
            "UPDATE actions SET state = :state, reason = :reason, done_at = :done_at, queue = NULL"
            " WHERE action_id = :id"
        ),
        {"state": state, "reason": reason, "done_at": done_at, "id": action_id},
    )


def _entry(what: str, action: Mapping[str, Any], detail: Mapping[str, Any]) -> trail.Entry:
    return trail.Entry(what, action["signal_id"], action["action_id"], action["correlation_id"], detail)
