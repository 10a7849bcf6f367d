"""Approvals as people and programs see them: what is to be done, why, who is asked, and what came of it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql

ENDED: Final = ("done", "failed", "unknown", "rejected", "expired", "cancelled", "suppressed")
"""States of an action that are an outcome; the others are on the way to one."""


@dataclass(frozen=True, slots=True)
class View:
    """One approval. `params` are those of the newest version, which is what an approval would carry out.

    `approver` has user_id, email and role; who is asked is the user, or everybody with the role. `decided` has by, way,
    at and reason. `outcome` is what became of the action, with the reason behind a colon where there is one. Each of
    `versions` has version, params, by, way and at, the oldest in front.
    """

    action_id: uuid.UUID
    approval_id: uuid.UUID
    state: str
    version: int
    revision: int
    type: str
    params: dict[str, Any]
    rule_id: str
    why: str
    decided_by: str
    deal_id: str | None
    deal_name: str | None
    owner_id: str | None
    approver: Mapping[str, Any]
    requested_at: datetime
    expires_at: datetime
    on_expiry: str
    risk: str
    needed: int
    agreed: int
    decided: Mapping[str, Any] | None
    outcome: str | None
    versions: Sequence[Mapping[str, Any]]
    signal_id: uuid.UUID
    delivered_at: datetime | None
    escalated_at: datetime | None


_FOUND: Final = (
    "SELECT p.*, a.type, a.params, a.rule_id, a.deal_id, a.signal_id, a.created_at, a.state AS action_state,"
    " a.reason AS action_reason, c.parts -> 'deal' -> 'value' ->> 'name' AS deal_name,"
    " (SELECT count(*) FROM approval_votes AS v WHERE v.approval_id = p.approval_id AND v.version = p.version)"
    " AS agreed"
    " FROM approvals AS p JOIN actions AS a USING (action_id) LEFT JOIN contexts AS c ON c.signal_id = a.signal_id"
)


def view(tx: Connection, action_id: uuid.UUID) -> View | None:
    """The approval of an action, None if none was ever asked for."""
    row = tx.execute(sql(f"{_FOUND} WHERE p.action_id = :id"), {"id": action_id}).mappings().first()
    return _views(tx, [dict(row)])[0] if row is not None else None


def inbox(
    tx: Connection,
    *,
    owner_id: str | None = None,
    state: str = "open",
    limit: int = 50,
    after: tuple[datetime, uuid.UUID] | None = None,
) -> list[View]:
    """Approvals in a state, the one that expires first in front; of the deals of one owner if he is named.

    `after` is where the page before ended: its last one's `expires_at` and `action_id`.
    """
    where = ["p.state = :state"]
    values: dict[str, Any] = {"state": state, "limit": limit}
    if owner_id is not None:
        where.append("p.owner_id = :owner_id")
        values["owner_id"] = owner_id
    if after is not None:
        where.append("(p.expires_at, p.action_id) > (:at, :id)")
        values |= {"at": after[0], "id": after[1]}
    statement = f"{_FOUND} WHERE {' AND '.join(where)} ORDER BY p.expires_at, p.action_id LIMIT :limit"
    return _views(tx, [dict(row) for row in tx.execute(sql(statement), values).mappings()])


def params_of(tx: Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    """The params of an approval's newest version; `row` has approval_id, version, and the action's own `params`."""
    found = _versions(tx, [row]).get(row["approval_id"], [])
    return next((dict(one["params"]) for one in found if one["version"] == row["version"]), dict(row["params"]))


def _views(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> list[View]:
    kept = _versions(tx, rows)
    return [_view(row, kept.get(row["approval_id"]) or [_first(row)]) for row in rows]


def _versions(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[uuid.UUID, list[Mapping[str, Any]]]:
    """The versions of those approvals that were ever edited."""
    edited = sorted(row["approval_id"] for row in rows if row["version"] > 1)
    found: dict[uuid.UUID, list[Mapping[str, Any]]] = {}
    if edited:
        kept = tx.execute(
            sql(
                "SELECT approval_id, version, params, by, way, at FROM approval_versions"
                " WHERE approval_id = ANY(:ids) ORDER BY approval_id, version"
            ),
            {"ids": edited},
        )
        for row in kept.mappings():
            told = {name: row[name] for name in ("version", "params", "by", "way", "at")}
            found.setdefault(row["approval_id"], []).append(told)
    return found


def _first(row: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1, which is kept with its action until somebody edits it."""
    planned = {"by": row["planned_by"], "way": "policy", "at": row["created_at"]}
    return {"version": 1, "params": row["params"], **planned}


def _view(row: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> View:
    decided = None
    if row["decided_at"] is not None:
        decided = {"by": row["decided_by"], "way": row["way"], "at": row["decided_at"], "reason": row["reason"]}
    same = (
        "action_id",
        "approval_id",
        "state",
        "version",
        "revision",
        "type",
        "rule_id",
        "why",
        "deal_id",
        "deal_name",
    )
    more = ("owner_id", "requested_at", "expires_at", "on_expiry", "risk", "needed", "agreed", "signal_id")
    newest = next(one for one in versions if one["version"] == row["version"])
    return View(
        **{name: row[name] for name in (*same, *more, "delivered_at", "escalated_at")},
        params=dict(newest["params"]),
        decided_by=row["planned_by"],
        approver={name: row[f"approver_{name}"] for name in ("user_id", "email", "role")},
        decided=decided,
        outcome=_outcome(row),
        versions=tuple(versions),
    )


def _outcome(row: Mapping[str, Any]) -> str | None:
    state = row["action_state"]
    if state not in ENDED:
        return None
    return f"{state}: {row['action_reason']}" if row["action_reason"] else str(state)
