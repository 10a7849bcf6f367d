"""Actions of which nobody can tell whether they took effect: listed for a person, and settled by that person's word."""

import uuid
from typing import Any

from sqlalchemy import Connection, text

from revpipe import dispositions, trail
from revpipe.approval_changes import touch
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.services import Services


def listing(tx: Connection, limit: int = 50) -> list[dict[str, Any]]:
    """The actions in `unknown`, the oldest in front, with what they were to do."""
    rows = tx.execute(
        text(
            "SELECT action_id, signal_id, type, adapter, rule_id, deal_id, params, attempts, first_tried_at, tried_at"
            " FROM actions WHERE state = 'unknown' ORDER BY tried_at LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def settle(services: Services, action_id: uuid.UUID, *, happened: bool) -> str:
    """A person has looked: the action took effect (it is done), or it did not (it is cancelled, and can be planned
    again). Returns the state reached. Raises Permanent if the action is not in `unknown`.
    """
    now = services.clock.now()
    state = "done" if happened else "cancelled"
    with transaction(services.engine) as tx:
        found = tx.execute(
            text(
                "UPDATE actions SET state = :state, reason = 'settled_by_person', maybe_done = false, done_at = :now"
                " WHERE action_id = :id AND state = 'unknown' RETURNING signal_id, correlation_id"
            ),
            {"state": state, "now": now, "id": action_id},
        ).first()
        if found is None:
            raise Permanent(f"action {action_id} is not in `unknown`; list those with: revpipe actions unknown")
        detail = {"happened": happened}
        trail.record(tx, now, [trail.Entry("looked", found.signal_id, action_id, found.correlation_id, detail)])
        dispositions.settle(tx, [found.signal_id], now)
        touch(tx, [action_id], now)
    return state
