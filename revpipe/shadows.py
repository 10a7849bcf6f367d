"""What rules in shadow would have done, kept without any effect, with their own cooldowns counted as live ones' are."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import bulk
from revpipe.action_policy import ActionPolicy
from revpipe.db import sql
from revpipe.llm.verdict import FALLBACK
from revpipe.plan_history import Known
from revpipe.rules.book import PlannedAction, RuleBook, ShadowOutcome

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A decided signal: its subject, whether the live rules left nothing open, what those in shadow say, its deal."""

    signal_id: uuid.UUID
    subject: str
    conclusive: bool
    outcomes: Sequence[ShadowOutcome]
    deal: Mapping[str, Any]


def record(
    tx: Connection,
    decided: Iterable[Shadowed],
    rules: RuleBook,
    policy: Mapping[str, ActionPolicy],
    known: Mapping[str, Known],
    now: datetime,
) -> None:
    """Keep what the rules in shadow would have done. One that did not fire leaves no row.

    `decided` comes in the order in which the signals were decided, under the locks of their subjects. Of a signal
    that is decided anew the former outcome makes way.
    """
    if not rules.shadows:
        return
    signals = list(decided)
    _forget(tx, [one.signal_id for one in signals])
    fired = [(one, shadow) for one in signals for shadow in one.outcomes if shadow.outcome.fired]
    if not fired:
        return
    past = _past(tx, sorted({one.subject for one, _ in fired}), now - rules.longest_cooldown)
    rows = []
    for one, shadow in fired:
        before = replace(known[one.subject], actions=[*known[one.subject].actions, *past.get(one.subject, ())])
        # What neither it nor the live rules settle would have been left to others, which is a risk of its own.
        by = "rules" if shadow.conclusive or one.conclusive else FALLBACK
        actions: list[dict[str, Any]] = []
        for planned in shadow.actions:
            risk = policy[planned.type].risk.of(by, one.deal)
            person = policy[planned.type].needs_person(planned.approval, risk)
            told = _action(planned, actions, before, now) | {"person": person}
            actions.append(told)
            if told["reason"] is None:
                past.setdefault(one.subject, []).append(_row(told["type"], planned.rule_id, one.signal_id, now))
        rows.append(
            {
                "signal_id": one.signal_id,
                "rule_id": shadow.outcome.rule_id,
                "schema_version": SCHEMA_VERSION,
                "rules_version": rules.version,
                "subject": one.subject,
                "settles": shadow.conclusive and not one.conclusive,
                "actions": actions,
                "created_at": now,
            }
        )
    bulk.insert(tx, "shadow_outcomes", sorted(rows, key=lambda row: (row["signal_id"], row["rule_id"])))


def _action(
    planned: PlannedAction,
    earlier: Sequence[Mapping[str, Any]],
    before: Known,
    now: datetime,
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": planned.type,
        "priority": planned.priority,
        "params": dict(planned.params),
        "reason": None,
    }
    if any(one["type"] == planned.type and one["reason"] is None for one in earlier):
        return told | {"reason": "same_rule_and_type"}
    itself = _row(planned.type, planned.rule_id, None, now)
    return told | {"reason": before.in_the_way(itself, planned.cooldown, now)[1]}


def _past(tx: Connection, subjects: Sequence[str], since: datetime) -> dict[str, list[Mapping[str, Any]]]:
    """The actions that rules in shadow would have had for these subjects, taken as carried out at once."""
    rows = tx.execute(
        sql(
            "SELECT s.subject, s.rule_id, s.signal_id, s.created_at, a ->> 'type' AS type FROM shadow_outcomes AS s,"
            " jsonb_array_elements(s.actions) AS a WHERE s.subject = ANY(:subjects) AND s.created_at > :since"
            " AND a ->> 'reason' IS NULL"
        ),
        {"subjects": list(subjects), "since": since},
    )
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.mappings():
        found.setdefault(row["subject"], []).append(
            _row(row["type"], row["rule_id"], row["signal_id"], row["created_at"])
        )
    return found


def _row(kind: str, rule_id: str, signal_id: uuid.UUID | None, at: datetime) -> dict[str, Any]:
    return {"action_id": signal_id, "rule_id": rule_id, "type": kind, "state": "done", "created_at": at}


def _forget(tx: Connection, signal_ids: Sequence[uuid.UUID]) -> None:
    tx.execute(sql("DELETE FROM shadow_outcomes WHERE signal_id = ANY(:ids)"), {"ids": sorted(signal_ids)})
