"""Asking for people's words: which planned actions need one, and whose."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from revpipe import bulk, trail
from revpipe.approvals import people
from revpipe.approvals.entries import entry
from revpipe.approvals.people import Approver
from revpipe.db import sql
from revpipe.expiry import wanted_until
from revpipe.ids import uuid7
from revpipe.llm.verdict import RULE
from revpipe.services import Services

Row = Mapping[str, Any]


def sort(tx: Connection, actions: Sequence[Row], services: Services) -> tuple[list[dict[str, Any]], list[Row]]:
    """The actions that need a person, each with what is known of its stakes, and those that may go at once."""
    asked, free = [], []
    stakes = _stakes(tx, [action for action in actions if _may_need(action, services)])
    for action in actions:
        policy = services.policy[action["type"]]
        known = stakes.get(action["action_id"])
        if known is None:
            free.append(action)
            continue
        risk = policy.risk.of(known["planned_by"], known["deal"])
        if policy.needs_person(action["approval"], risk):
            asked.append({**action, **known, "risk": risk})
        else:
            free.append(action)
    return asked, free


def request(tx: Connection, asked: Sequence[Row], services: Services, now: datetime) -> None:
    """Ask for a word on actions as `sort` gives them, for as long as policy says, or their rule if that is shorter."""
    if not asked:
        return
    known = people.read(tx, [action["owner_id"] for action in asked])
    told = {rule.id: rule.description for rule in services.rules.rules}
    rows, entries = [], []
    for action in asked:
        policy = services.policy[action["type"]]
        ends = policy.ends(now)
        ends = min(ends, wanted_until(action) or ends)
        why = action["reasoned"] if action["rule_id"] == RULE else told.get(action["rule_id"])
        approver = known.asked(action["owner_id"], policy)
        rows.append(_row(action, approver, policy.on_expiry, policy.needed, why or "", ends, now))
        detail = {"expires_h": round(max((ends - now).total_seconds(), 0) / 3600, 2), "of": whom(approver, action)}
        entries.append(entry("approval_requested", action, detail | {"risk": action["risk"]}))
    bulk.insert(tx, "approvals", rows, "ON CONFLICT DO NOTHING")
    tx.execute(
        sql(
            "UPDATE actions SET state = 'awaiting_approval', reason = NULL, done_at = NULL, queue = NULL"
            " WHERE action_id = ANY(:ids)"
        ),
        {"ids": sorted(action["action_id"] for action in asked)},
    )
    trail.record(tx, now, entries)


def whom(approver: Approver, approval: Row) -> str:
    """Who is asked, as the trail may tell it: by what they are, not by name."""
    if approver.role is not None:
        return approver.role
    return f"owner {approval['owner_id']}"


def _may_need(action: Row, services: Services) -> bool:
    policy = services.policy[action["type"]]
    return policy.by_tier or policy.needs_person(action["approval"])


def _row(
    action: Row, approver: Approver, on_expiry: str, needed: int, why: str, ends: datetime, now: datetime
) -> dict[str, Any]:
    return {
        "approval_id": uuid7(),
        "action_id": action["action_id"],
        "state": "open",
        "requested_at": now,
        "expires_at": ends,
        "version": 1,
        "revision": 0,
        "changed_at": now,
        "why": why,
        "planned_by": action["planned_by"],
        "risk": action["risk"],
        "on_expiry": on_expiry,
        "needed": needed,
        "owner_id": action["owner_id"],
        "approver_user_id": approver.user_id,
        "approver_email": approver.email,
        "approver_role": approver.role,
    }


def _stakes(tx: Connection, actions: Sequence[Row]) -> dict[uuid.UUID, dict[str, Any]]:
    """By action: the deal as it was when decided, its owner, who decided, and what a language model gave as reason."""
    if not actions:
        return {}
    rows = tx.execute(
        sql(
            "SELECT a.action_id, a.rule_id, pl.decided_by, pl.why -> 'llm' ->> 'reason' AS reasoned,"
            " c.parts -> 'deal' -> 'value' AS deal FROM actions AS a JOIN plans AS pl USING (plan_id)"
            " LEFT JOIN contexts AS c ON c.signal_id = a.signal_id WHERE a.action_id = ANY(:ids)"
        ),
        {"ids": sorted(action["action_id"] for action in actions)},
    )
    found = {}
    for row in rows.mappings():
        deal = row["deal"] if isinstance(row["deal"], dict) else {}
        owner = deal.get("owner_id")
        found[row["action_id"]] = {
            # What a rule wanted of a signal that a model was asked about as well, the rule still wanted.
            "planned_by": "rules" if row["decided_by"] == "llm" and row["rule_id"] != RULE else row["decided_by"],
            "rule_id": row["rule_id"],
            "reasoned": row["reasoned"],
            "deal": deal,
            "owner_id": str(owner) if owner else None,
        }
    return found
