"""An approval that is ours to decide, for as long as the transaction lasts."""

import uuid
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from sqlalchemy import Connection

from revpipe.approvals.errors import AlreadyDecided, NoApproval, VersionMoved
from revpipe.db import sql


def hold(tx: Connection, action_id: uuid.UUID, version: int | None = None) -> dict[str, Any]:
    """The open approval of an action, locked, with its action's type, params and ids.

    Raises NoApproval if there is none, AlreadyDecided if it is open no more, VersionMoved if its version is not
    `version`.
    """
    found = tx.execute(
        sql(
            "SELECT p.*, a.type, a.params, a.signal_id, a.correlation_id, a.priority, a.adapter, a.expires_s,"
            " a.created_at, a.replayed_at FROM approvals AS p JOIN actions AS a USING (action_id)"
            " WHERE p.action_id = :id FOR UPDATE OF p"
        ),
        {"id": action_id},
    )
    row = found.mappings().first()
    if row is None:
        raise NoApproval(
            f"no approval is asked for action {action_id}; list the open ones with: revpipe approvals list"
        )
    if row["state"] != "open":
        raise AlreadyDecided(_who_won(dict(row)))
    if version is not None and version != row["version"]:
        raise VersionMoved(
            f"action {action_id} was edited meanwhile: version {row['version']} is the present one, not {version};"
            " nothing was sent"
        )
    return dict(row)


def decide(
    tx: Connection, approval: Mapping[str, Any], state: str, by: str, way: str, reason: str | None, now: Any
) -> None:
    """Move a held approval out of `open`. Raises AlreadyDecided should it have left that state all the same."""
    won = tx.execute(
        sql(
            "UPDATE approvals SET state = :state, decided_at = :now, decided_by = :by, way = :way, reason = :reason,"
            " revision = revision + 1, changed_at = :now"
            " WHERE approval_id = :id AND state = 'open' AND version = :version"
        ),
        {
            "state": state,
            "now": now,
            "by": by,
            "way": way,
            "reason": reason,
            "id": approval["approval_id"],
            "version": approval["version"],
        },
    ).rowcount
    if not won:
        raise AlreadyDecided(f"action {approval['action_id']} was decided already")


def _who_won(row: Mapping[str, Any]) -> str:
    at = row["decided_at"].astimezone(UTC)
    way = f" ({row['way']})" if row["way"] and row["way"] != row["decided_by"] else ""
    told = f"action {row['action_id']} was {row['state']} already, by {row['decided_by']}{way}"
    return f"{told} at {at:%Y-%m-%d %H:%M} UTC"
