"""What is sealed: the kinds of records, where each is in the ledger, and which of its fields count."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from revpipe.seals import canonical

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `rows` is SQL that gives its rows, each once, and ends in a WHERE; `order` is the key of the table.

    `fields` are what the record consists of. `key` and `at` give a row's key and own time.
    `parent` names the column, and `parents` the table, of what it is pruned with.
    `alias` is the table's own name in the SQL where its key alone would mean more than one.
    """

    rows: str
    order: tuple[str, ...]
    fields: tuple[str, ...]
    key: Callable[[Row], str]
    at: Callable[[Row], datetime | None]
    parent: str | None = None
    parents: str | None = None
    alias: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table's key, as its SQL names them."""
        return tuple(f"{self.alias}.{name}" if self.alias else name for name in self.order)


def _id(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _time(name: str) -> Callable[[Row], datetime | None]:
    def at(row: Row) -> datetime | None:
        found: datetime | None = row[name]
        return found

    return at


def plan_key(row: Row) -> str:
    """A plan is another one when it was decided anew, though its id is the same."""
    return f"{row['plan_id']}@{canonical.micros(row['created_at'])}"


ENDED: Final = "('approved', 'rejected', 'expired', 'cancelled')"
PLAN_FIELDS: Final = (
    *("plan_id", "signal_id", "schema_version", "decided_by", "rules_version", "conclusive", "why", "created_at"),
)
ASKED_FIELDS: Final = (
    *("approval_id", "action_id", "requested_at", "owner_id", "planned_by", "risk", "on_expiry", "needed"),
)

KINDS: Final[Mapping[str, Kind]] = {
    "plan": Kind(
        f"SELECT {', '.join(PLAN_FIELDS)} FROM plans WHERE true",  # noqa: S608
        ("plan_id",),
        PLAN_FIELDS,
        plan_key,
        _time("created_at"),
        "signal_id",
        "signals",
    ),
    # As it was planned: once an edited version is approved, the action's own params are those of that version.
    "action": Kind(
        "SELECT a.action_id, a.plan_id, a.signal_id, a.rule_id, a.type, a.adapter, a.created_at,"
        # Looked for action by action, whatever the planner believes of the tables: a seal has at most some hundreds.
        " coalesce((SELECT v.params FROM approvals AS p JOIN approval_versions AS v USING (approval_id)"
        " WHERE p.action_id = a.action_id AND v.version = 1), a.params) AS params FROM actions AS a WHERE true",
        ("action_id",),
        ("action_id", "plan_id", "signal_id", "rule_id", "type", "adapter", "params", "created_at"),
        _id("action_id"),
        _time("created_at"),
        "signal_id",
        "signals",
        "a",
    ),
    # Of what was asked only that which stays: who is asked and until when may change, and is told by the trail.
    "approval_requested": Kind(
        f"SELECT {', '.join(ASKED_FIELDS)} FROM approvals WHERE true",  # noqa: S608
        ("approval_id",),
        ASKED_FIELDS,
        _id("approval_id"),
        _time("requested_at"),
        "action_id",
        "actions",
    ),
    "approval_decided": Kind(
        "SELECT approval_id, action_id, state, decided_at, decided_by, way, reason, version FROM approvals"  # noqa: S608
        f" WHERE state IN {ENDED}",
        ("approval_id",),
        ("approval_id", "action_id", "state", "decided_at", "decided_by", "way", "reason", "version"),
        _id("approval_id"),
        _time("decided_at"),
        "action_id",
        "actions",
    ),
    "approval_version": Kind(
        "SELECT approval_id, version, approval_versions.params, by, approval_versions.way, at, action_id"
        " FROM approval_versions JOIN (SELECT approval_id, action_id FROM approvals) AS asked USING (approval_id)"
        " WHERE true",
        ("approval_id", "version"),
        ("approval_id", "version", "params", "by", "way", "at"),
        lambda row: f"{row['approval_id']}@{row['version']}",
        _time("at"),
        "action_id",
        "actions",
    ),
    # A command is written before it is done and completed afterwards: each half is final once it is there.
    "audit": Kind(
        "SELECT audit_id, at, actor, command, detail - 'outcome' AS detail FROM operator_audit WHERE true",
        ("audit_id",),
        ("audit_id", "at", "actor", "command", "detail"),
        _id("audit_id"),
        _time("at"),
    ),
    "audit_outcome": Kind(
        "SELECT audit_id, at, detail -> 'outcome' AS outcome FROM operator_audit WHERE detail ? 'outcome'",
        ("audit_id",),
        ("audit_id", "outcome"),
        _id("audit_id"),
        _time("at"),
    ),
}
"""Kinds whose records are rows. `month` and `began` are known by their key alone."""
MONTH: Final = "month"
BEGAN: Final = "began"


def id_of(key: str) -> uuid.UUID:
    """The row's id in a key. Raises ValueError where there is none."""
    return uuid.UUID(key.partition("@")[0])


def record_of(kind: str, row: Row) -> dict[str, Any]:
    """The fields of a row that are sealed."""
    return {name: row[name] for name in KINDS[kind].fields}
