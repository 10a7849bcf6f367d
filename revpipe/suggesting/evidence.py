"""What the LLM decided, with the facts that it had before it and what people said to its actions."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import contexts, schemas
from revpipe.db import sql
from revpipe.errors import RevpipeError
from revpipe.rules import vocabulary
from revpipe.rules.expressions import Facts
from revpipe.signals import Signal

MOST: Final = 5_000
"""Decisions that are looked at, the newest: their facts are in memory together."""
_PLANS: Final = (
    f"SELECT {', '.join('s.' + one.name for one in fields(Signal))}, p.plan_id, p.created_at,"  # noqa: S608 - names of ours
    " c.parts, c.schema_version AS context_version"
    " FROM plans AS p JOIN signals AS s USING (signal_id) JOIN contexts AS c USING (signal_id)"
    " WHERE p.decided_by = 'llm' AND s.received_at >= :since ORDER BY s.received_at DESC, s.signal_id LIMIT :most"
)
_ACTIONS: Final = (
    "SELECT a.plan_id, a.type, a.params, a.state, p.state AS approval FROM actions AS a"
    " LEFT JOIN approvals AS p ON p.action_id = a.action_id WHERE a.plan_id = ANY(:plans) ORDER BY a.action_id"
)
_ANSWERS: Final = (
    "SELECT a.rule_id, count(*) FILTER (WHERE p.state = 'approved') AS approved,"
    " count(*) FILTER (WHERE p.state = 'rejected') AS rejected, count(*) FILTER (WHERE p.state = 'expired') AS expired,"
    " (array_agg(a.signal_id ORDER BY p.decided_at DESC) FILTER (WHERE p.state = 'rejected'))[1:3] AS examples"
    " FROM approvals AS p JOIN actions AS a USING (action_id)"
    " WHERE p.requested_at >= :since AND p.state <> 'open' GROUP BY a.rule_id"
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One decision of the LLM. `said` is `approved`, `rejected`, or None where nobody was asked or has answered."""

    signal_id: uuid.UUID
    event: str
    facts: Facts
    types: tuple[str, ...]
    params: tuple[Mapping[str, Any], ...]
    said: str | None


@dataclass(frozen=True, slots=True)
class Unwanted:
    """A rule whose actions people keep rejecting."""

    rule: str
    approved: int
    rejected: int
    expired: int
    rate: float
    examples: tuple[uuid.UUID, ...]


def decisions(tx: Connection, since: datetime) -> list[Judged]:
    """The LLM's decisions on signals received since, the newest in front, at most MOST."""
    rows = tx.execute(sql(_PLANS), {"since": since, "most": MOST}).mappings().all()
    wanted: dict[uuid.UUID, list[Mapping[str, Any]]] = {row["plan_id"]: [] for row in rows}
    for action in tx.execute(sql(_ACTIONS), {"plans": list(wanted)}).mappings():
        wanted[action["plan_id"]].append(dict(action))
    found = (_judged(dict(row), wanted[row["plan_id"]]) for row in rows)
    return [one for one in found if one is not None]


def unwanted(tx: Connection, since: datetime, least: int, rate: float) -> list[Unwanted]:
    """Rules of whose actions at least `least` were answered, and that share of them by a no; the worst in front."""
    found = []
    for row in tx.execute(sql(_ANSWERS), {"since": since}):
        answered = row.approved + row.rejected
        if answered >= least and row.rejected / answered >= rate:
            share = row.rejected / answered
            found.append(
                Unwanted(row.rule_id, row.approved, row.rejected, row.expired, share, tuple(row.examples or ()))
            )
    return sorted(found, key=lambda one: (-one.rate, one.rule))


def _judged(row: Mapping[str, Any], actions: Sequence[Mapping[str, Any]]) -> Judged | None:
    try:
        signal = schemas.stored_signal(row)
        parts = contexts.load(row["parts"], row["context_version"])
    except RevpipeError:
        return None  # of a newer release
    # What was suppressed was never before anybody, but it was wanted: the decision counts, and nobody's word.
    ordered = sorted(actions, key=lambda one: str(one["type"]))
    return Judged(
        signal_id=signal.signal_id,
        event=signal.event,
        facts=vocabulary.facts(signal, parts, {}, row["created_at"]),
        types=tuple(one["type"] for one in ordered),
        params=tuple(one["params"] for one in ordered),
        said=_said(actions),
    )


def _said(actions: Sequence[Mapping[str, Any]]) -> str | None:
    words = {one["approval"] for one in actions}
    return next((word for word in ("rejected", "approved") if word in words), None)
