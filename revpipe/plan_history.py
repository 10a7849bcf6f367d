"""What was lately decided for a subject: what rules may ask of it, and what stands in a new action's way."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.columns import Texts
from revpipe.db import sql
from revpipe.models.action import OPEN

LOOK_BACK: Final = timedelta(days=30)
COUNTED: Final = (*OPEN, "done")
"""States whose action counts for a cooldown: it had its effect, or may still have it."""

TWIN: Final = "same_as_other_rule"
"""The reason of an action that another rule wanted in the same words, and that therefore was done once for both."""


# Asked subject by subject, each part by its own index.
_LATELY: Final = (
    "SELECT asked.subject,"
    " (SELECT count(*) FROM signals AS s WHERE s.deal_id = asked.deal AND s.fired_at > :week) AS found,"
    " (SELECT q.began_at FROM quiet_periods AS q WHERE q.subject = asked.subject) AS decided_at,"
    " (SELECT 1 FROM signals AS w WHERE w.gathering = asked.subject AND w.stage = 'decide' LIMIT 1) IS NOT NULL"
    " AS others_wait"
    " FROM unnest(CAST(:subjects AS text[]), CAST(:deals AS text[])) AS asked(subject, deal)"
)


@dataclass(slots=True)
class Known:
    """The actions of one subject as far back as cooldowns reach, and how many of its signals came in seven days.

    What rules may ask of them looks back 30 days, from `since` on. `decided_at` is when it was last decided, None if
    that is long ago; `others_wait` tells whether signals of it are being gathered.
    """

    actions: list[Mapping[str, Any]] = field(default_factory=list)
    signals_7d: int = 0
    since: datetime = datetime.min.replace(tzinfo=UTC)
    decided_at: datetime | None = None
    others_wait: bool = False

    def add(self, actions: Iterable[Mapping[str, Any]]) -> None:
        """Count actions planned in this very transaction."""
        self.actions += actions

    def facts(self) -> dict[str, Any]:
        """The `history` root of the rules' vocabulary."""
        lately = [one for one in self.actions if one["created_at"] > self.since]
        counted = [
            one
            for one in self.actions
            if one["state"] in OPEN or (one["state"] == "done" and one["created_at"] > self.since)
        ]
        return {
            "open_actions": [
                {"rule": one["rule_id"], "type": one["type"]} for one in self.actions if one["state"] in OPEN
            ],
            "actions_30d": len(counted),
            "rules_30d": list(dict.fromkeys(one["rule_id"] for one in counted)),
            "last_action_at": max((one["created_at"] for one in counted), default=None),
            "rejected_30d": sum(one["state"] == "rejected" for one in lately),
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
            acted = self._acted(one)
            if acted is not None and now - one["created_at"] < cooldown:
                return acted["action_id"], "cooldown"
        return None, None

    def open_of(self, type: str) -> tuple[uuid.UUID | None, str | None]:
        """An open action of a type, whichever rule wanted it."""
        same = (one["action_id"] for one in self.actions if one["type"] == type and one["state"] in OPEN)
        found = next(same, None)
        return found, "already_open" if found else None

    def _acted(self, action: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The action that had the effect, or may still have it: itself, or the twin that stood in for it."""
        if action["state"] == "suppressed" and action["reason"] == TWIN:
            action = next((one for one in self.actions if one["action_id"] == action["suppressed_by"]), action)
        return action if action["state"] in COUNTED else None


def read(tx: Connection, subjects: Sequence[str], now: datetime, cooldown: timedelta = LOOK_BACK) -> dict[str, Known]:
    """What is known of each subject, as far back as the longest `cooldown`. Open actions count however old they are."""
    known = {subject: Known(since=now - LOOK_BACK) for subject in subjects}
    if not known:
        return known
    wanted = {
        "subjects": Texts(known),
        "since": now - max(LOOK_BACK, cooldown),
        "open": list(OPEN),
        "week": now - timedelta(days=7),
    }
    rows = tx.execute(
        sql(
            "SELECT action_id, rule_id, type, state, reason, suppressed_by, subject, created_at FROM actions"
            " WHERE subject = ANY(:subjects) AND (created_at > :since OR state = ANY(:open)) ORDER BY created_at DESC"
        ),
        wanted,
    )
    for row in rows.mappings():
        known[row["subject"]].actions.append(dict(row))
    deals = [one.removeprefix("deal:") if one.startswith("deal:") else None for one in known]
    for row in tx.execute(sql(_LATELY), {**wanted, "deals": deals}).mappings():
        one = known[row["subject"]]
        one.signals_7d, one.decided_at, one.others_wait = row["found"], row["decided_at"], row["others_wait"]
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
