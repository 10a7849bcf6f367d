"""What was lately decided for a subject: what rules may ask of it, and what stands in a new action's way."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.models.action import OPEN

LOOK_BACK: Final = timedelta(days=30)
COUNTED: Final = (*OPEN, "done")
"""States whose action counts for a cooldown: it had its effect, or may still have it."""


@dataclass(slots=True)
class Known:
    """The actions of one subject in the last 30 days, and how many of its signals came in the last seven."""

    actions: list[Mapping[str, Any]] = field(default_factory=list)
    signals_7d: int = 0

    def add(self, actions: Iterable[Mapping[str, Any]]) -> None:
        """Count actions planned in this very transaction."""
        self.actions += actions

    def facts(self) -> dict[str, Any]:
        """The `history` root of the rules' vocabulary."""
        return {
            "open_actions": [
                {"rule": one["rule_id"], "type": one["type"]} for one in self.actions if one["state"] in OPEN
            ],
            "actions_30d": sum(one["state"] in COUNTED for one in self.actions),
            "signals_7d": self.signals_7d,
        }

    def in_the_way(
        self, action: Mapping[str, Any], cooldown: timedelta, now: datetime
    ) -> tuple[uuid.UUID | None, str | None]:
        """The action that wins over `action` and why: one still open, or one within the rule's cooldown."""
        same = [one for one in self.actions if alike(one, action)]
        for one in same:
            if one["state"] in OPEN:
                return one["action_id"], "already_open"
        for one in same:
            if one["state"] in COUNTED and now - one["created_at"] < cooldown:
                return one["action_id"], "cooldown"
        return None, None


def read(tx: Connection, subjects: Sequence[str], now: datetime) -> dict[str, Known]:
    """What is known of each subject. Open actions count however old they are."""
    known = {subject: Known() for subject in subjects}
    if not known:
        return known
    wanted = {
        "subjects": list(known),
        "since": now - LOOK_BACK,
        "open": list(OPEN),
        "week": now - timedelta(days=7),
    }
    rows = tx.execute(
        sql(
            "SELECT action_id, rule_id, type, state, subject, created_at FROM actions"
            " WHERE subject = ANY(:subjects) AND (created_at > :since OR state = ANY(:open)) ORDER BY created_at DESC"
        ),
        wanted,
    )
    for row in rows.mappings():
        known[row["subject"]].actions.append(dict(row))
    counts = tx.execute(
        sql(
            "SELECT deal_id, count(*) AS found FROM signals WHERE deal_id = ANY(:deals) AND fired_at > :week"
            " GROUP BY deal_id"
        ),
        {**wanted, "deals": [one.removeprefix("deal:") for one in known if one.startswith("deal:")]},
    )
    for row in counts.mappings():
        known[f"deal:{row['deal_id']}"].signals_7d = row["found"]
    return known


def carried_out(tx: Connection, signal_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Mapping[str, Any]]]:
    """The actions of replayed signals that had their effect, or may have had it, by signal."""
    found: dict[uuid.UUID, list[Mapping[str, Any]]] = {}
    if not signal_ids:
        return found
    rows = tx.execute(
        sql(
            "SELECT signal_id, action_id, rule_id, type, state FROM actions WHERE signal_id = ANY(:ids)"
            " AND (state IN ('done', 'unknown') OR maybe_done) ORDER BY action_id"
        ),
        {"ids": sorted(signal_ids)},
    )
    for row in rows.mappings():
        found.setdefault(row["signal_id"], []).append(dict(row))
    return found


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two actions of one subject stand for the same: one rule, one type."""
    return bool(one["rule_id"] == other["rule_id"] and one["type"] == other["type"])
