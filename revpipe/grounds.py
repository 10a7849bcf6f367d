"""What the plans of approved actions stood on, read from the ledger."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import call_history, cases, contexts, schemas
from revpipe.action_policy import ACTION_TYPES
from revpipe.cases import Change
from revpipe.db import sql
from revpipe.errors import Misconfigured, RevpipeError
from revpipe.ports import Part, Parts
from revpipe.rules import book as rule_file
from revpipe.rules.book import RuleBook
from revpipe.signals import Signal

BOOKS: Final = 8
"""Former versions of the rules that a process keeps ready."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One signal as its plan saw it: itself, its context, who decided by which rules, and what it carried."""

    row: Mapping[str, Any]
    signal: Signal
    parts: Parts
    decided_by: str
    rules_version: str
    rules: str
    planned_at: datetime
    actions: tuple[uuid.UUID, ...]
    carries: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Grounds:
    """By signal: what its plan stood on, or why that can't be read; and the calls that the ledger knows by now."""

    found: Mapping[uuid.UUID, Ground] = field(default_factory=dict)
    broken: Mapping[uuid.UUID, RevpipeError] = field(default_factory=dict)
    calls: Mapping[uuid.UUID, Part] = field(default_factory=dict)


def read(tx: Connection, signal_ids: Sequence[uuid.UUID], now: datetime) -> Grounds:
    """The grounds of these signals' plans."""
    ids = sorted(set(signal_ids))
    if not ids:
        return Grounds()
    carried = cases.carried(tx, ids)
    found: dict[uuid.UUID, Ground] = {}
    broken: dict[uuid.UUID, RevpipeError] = {}
    for row in tx.execute(sql(_READ), {"ids": ids}).mappings():
        try:
            found[row["signal_id"]] = _ground(dict(row), tuple(carried.get(row["signal_id"], ())))
        except RevpipeError as error:
            broken[row["signal_id"]] = error
    calls = call_history.parts(tx, [one.signal for one in found.values()], now) if found else {}
    return Grounds(found, broken, calls)


def _ground(row: dict[str, Any], carries: tuple[Change, ...]) -> Ground:
    parts = contexts.load(row["context_parts"], row["context_version"]) if row["context_parts"] else {}
    return Ground(
        row=row,
        signal=schemas.stored_signal(row),
        parts=parts,
        decided_by=row["decided_by"],
        rules_version=row["rules_version"],
        rules=row["rules"],
        planned_at=row["planned_at"],
        actions=tuple(row["actions"]),
        carries=carries,
    )


_READ: Final = (
    "SELECT s.*, c.parts AS context_parts, c.schema_version AS context_version, pl.decided_by, pl.rules_version,"
    " v.source AS rules, pl.created_at AS planned_at,"
    " ARRAY(SELECT a.action_id FROM actions AS a WHERE a.signal_id = s.signal_id ORDER BY a.action_id) AS actions"
    " FROM signals AS s JOIN plans AS pl USING (signal_id) JOIN rule_versions AS v ON v.version = pl.rules_version"
    " LEFT JOIN contexts AS c USING (signal_id) WHERE s.signal_id = ANY(:ids) ORDER BY s.signal_id"
)


@lru_cache(maxsize=BOOKS)
def book_of(source: str) -> RuleBook | None:
    """The rules as they were when they decided; None if this release can't read them any more."""
    try:
        return rule_file.load(source, dict.fromkeys(ACTION_TYPES))
    except Misconfigured:
        return None
