"""What becomes of approvals that nobody gave: carried out, escalated or ended, as policy says."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from revpipe import dispositions, feed, trail
from revpipe.action_policy import ESCALATE, EXECUTE, EXPIRE, REJECT, ActionPolicy
from revpipe.actors import POLICY
from revpipe.approvals import people
from revpipe.approvals.deciding import end, release
from revpipe.approvals.entries import by, entry
from revpipe.approvals.held import decide
from revpipe.approvals.people import People
from revpipe.approvals.requesting import whom
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.expiry import wanted_until
from revpipe.services import Services


def expire_due(services: Services, limit: int = 100) -> int:
    """Do what policy says with the approvals whose time is up; returns how many. Two at once are harmless."""
    now = services.clock.now()
    queues: list[str] = []
    with transaction(services.engine) as tx:
        due = _due(tx, now, limit)
        known = people.read(tx, [row["owner_id"] for row in due])
        ended = []
        # In id order: one by one they could wait in a ring with actions that end just now.
        for row in sorted(due, key=lambda one: one["action_id"]):
            what = ending(row, services.policy.get(row["type"]), now)
            if what == EXECUTE:
                queues += release(tx, row, POLICY, "nobody answered", now)
            elif what == ESCALATE:
                _escalate(tx, row, known, services.policy[row["type"]], now)
            else:
                _end(tx, row, what, now)
                ended.append(row["signal_id"])
        dispositions.settle(tx, ended, now)
        crash_point("approval.written")
    feed.offer(services, dict.fromkeys(queues))
    return len(due)


def ending(approval: Mapping[str, Any], policy: ActionPolicy | None, now: datetime) -> str:
    """What happens to an open approval when its time is up, as far as is known now: one of policy's words.

    By the policy that there was when the request was made: that is what people were told.
    """
    if policy is None:
        return EXPIRE
    what = policy.at_expiry(
        approval["on_expiry"],
        risk=approval["risk"],
        planned_by=approval["planned_by"],
        delivered=approval["delivered_at"] is not None,
        edited=approval["version"] > 1,
        escalated=approval["escalated_at"] is not None,
    )
    wanted = wanted_until(approval)
    if what in (ESCALATE, EXECUTE) and wanted is not None and wanted <= max(now, approval["expires_at"]):
        return EXPIRE
    return what


def _due(tx: Connection, now: datetime, limit: int) -> list[dict[str, Any]]:
    rows = tx.execute(
        sql(
            # As they are once they are held: an edit may have been faster than the statement's own view of them.
            "WITH due AS (SELECT * FROM approvals WHERE state = 'open' AND expires_at <= :now"
            " ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED)"
            " SELECT due.*, a.type, a.params, a.signal_id, a.correlation_id, a.priority, a.adapter, a.expires_s,"
            " a.created_at, a.replayed_at FROM due JOIN actions AS a USING (action_id)"
        ),
        {"now": now, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def _end(tx: Connection, row: Mapping[str, Any], what: str, now: datetime) -> None:
    """Rejected by policy is what a model or the fallback decided; all else that nobody answered has expired."""
    state, reason = ("rejected", "rejected_by_policy") if what == REJECT else ("expired", "approval_expired")
    decide(tx, row, state, POLICY.name, POLICY.way, "nobody answered", now)
    end(tx, [row], state, reason, now)
    trail.record(tx, now, [entry(state, row, by(POLICY, by=POLICY.name))])


def _escalate(tx: Connection, row: Mapping[str, Any], known: People, policy: ActionPolicy, now: datetime) -> None:
    """Another one is asked, and has as long as policy gives. Whoever was asked before may still answer."""
    approver = known.next_after(row, policy)
    ends = policy.ends(now)
    ends = min(ends, wanted_until(row) or ends)
    tx.execute(
        sql(
            "UPDATE approvals SET approver_user_id = :user_id, approver_email = :email, approver_role = :role,"
            " escalated_at = :now, delivered_at = NULL, expires_at = :ends, revision = revision + 1, changed_at = :now"
            " WHERE approval_id = :id AND state = 'open'"
        ),
        {
            "user_id": approver.user_id,
            "email": approver.email,
            "role": approver.role,
            "now": now,
            "ends": ends,
            "id": row["approval_id"],
        },
    )
    to = whom(approver, row) if approver.role else "stand_in"
    detail = {"to": to, "expires_h": round((ends - now).total_seconds() / 3600, 2)}
    trail.record(tx, now, [entry("escalated", row, by(POLICY, **detail))])
