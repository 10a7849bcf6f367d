"""Noting that somebody has seen a request."""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from revpipe import trail
from revpipe.actors import Actor
from revpipe.approvals.entries import by, entry
from revpipe.approvals.errors import NoApproval
from revpipe.db import sql, transaction
from revpipe.services import Services


def seen(services: Services, action_id: uuid.UUID, actor: Actor) -> None:
    """Somebody has an approval before their eyes: told in the trail for the first of them.

    If it is the approver, the request has surely reached them. Raises NoApproval.
    """
    now = services.clock.now()
    with transaction(services.engine) as tx:
        found = (
            tx.execute(
                sql(
                    "SELECT p.*, a.signal_id, a.correlation_id FROM approvals AS p JOIN actions AS a USING (action_id)"
                    " WHERE p.action_id = :id"
                ),
                {"id": action_id},
            )
            .mappings()
            .first()
        )
        if found is None:
            raise NoApproval(f"no approval is asked for action {action_id}")
        row = dict(found)
        approver = _asked(tx, actor, row)
        if row["state"] != "open" or (row["seen_at"] is not None and (row["delivered_at"] or not approver)):
            return
        first = tx.execute(
            sql(
                "WITH mine AS (SELECT approval_id, seen_at FROM approvals WHERE approval_id = :id FOR UPDATE)"
                " UPDATE approvals AS p SET seen_at = coalesce(p.seen_at, :now), delivered_at = CASE WHEN :approver"
                " THEN coalesce(p.delivered_at, :now) ELSE p.delivered_at END FROM mine"
                " WHERE p.approval_id = mine.approval_id RETURNING mine.seen_at IS NULL"
            ),
            {"id": row["approval_id"], "now": now, "approver": approver},
        ).scalar()
        if first:
            trail.record(tx, now, [entry("shown", row, by(actor))])


def _asked(tx: Connection, actor: Actor, approval: Mapping[str, Any]) -> bool:
    """Whether the actor is whom the request was made to, or one of those with the role that it was made to."""
    if actor.user_id is None or approval["approver_role"] is None:
        return actor.user_id is not None and actor.user_id == approval["approver_user_id"]
    role = tx.execute(sql("SELECT role FROM users WHERE user_id = :id AND active"), {"id": actor.user_id}).scalar()
    return bool(role == approval["approver_role"])
