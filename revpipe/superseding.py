"""Putting by what a replay replaces: former plans, contexts and payloads, whole, and actions that are planned anew."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from revpipe import cached_parts, schemas, trail
from revpipe.ids import uuid7
from revpipe.signals import stable_id

SET_ASIDE = "set_aside"


def plan(tx: Connection, signal_id: uuid.UUID, audit_id: uuid.UUID, now: datetime) -> bool:
    """Put a copy of the plan by, for deciding anew writes over it; False if there is none yet."""
    former = tx.execute(text("SELECT * FROM plans WHERE signal_id = :id"), {"id": signal_id}).mappings().first()
    if former is None:
        return False
    _keep(tx, "plan", signal_id, dict(former), former["created_at"], audit_id, now)
    return True


def context(tx: Connection, signal: Mapping[str, Any], audit_id: uuid.UUID, now: datetime) -> None:
    """Put the context by and forget what was fetched lately for its subject, so that the vendors are asked again."""
    former = tx.execute(
        text("DELETE FROM contexts WHERE signal_id = :id RETURNING *"), {"id": signal["signal_id"]}
    ).mappings()
    for row in former.all():
        _keep(tx, "context", row["signal_id"], dict(row), row["created_at"], audit_id, now)
    key = cached_parts.key_of(schemas.stored_signal(signal))
    if key is not None:
        tx.execute(text("DELETE FROM cached_parts WHERE key = :key"), {"key": key})


def payload(
    tx: Connection, signal: Mapping[str, Any], better: Mapping[str, Any], audit_id: uuid.UUID, now: datetime
) -> None:
    """Put the payload by and write the corrected one in its place."""
    _keep(tx, "payload", signal["signal_id"], signal["payload"], None, audit_id, now)
    tx.execute(
        text("UPDATE signals SET payload = :payload WHERE signal_id = :id").bindparams(
            bindparam("payload", type_=JSONB)
        ),
        {"payload": dict(better), "id": signal["signal_id"]},
    )


def actions(tx: Connection, signal_id: uuid.UUID, now: datetime) -> None:
    """End, as suppressed, what the former plan wanted and what did not come about: the new plan wants its own.

    What is done, or may be, stays as it is, and is not planned again.
    """
    rows = tx.execute(
        text(
            "WITH mine AS (SELECT action_id, state, reason FROM actions WHERE signal_id = :id AND NOT maybe_done"
            " AND state IN ('failed', 'rejected', 'expired', 'cancelled') ORDER BY action_id FOR UPDATE)"
            " UPDATE actions AS a SET state = 'suppressed', reason = :reason, done_at = coalesce(a.done_at, :now)"
            " FROM mine WHERE a.action_id = mine.action_id"
            " RETURNING a.action_id, a.correlation_id, a.type, mine.state, mine.reason"
        ),
        {"id": signal_id, "reason": SET_ASIDE, "now": now},
    ).mappings()
    entries = [
        trail.Entry(
            SET_ASIDE,
            signal_id,
            row["action_id"],
            row["correlation_id"],
            {"type": row["type"], "was": row["state"], "reason": row["reason"]},
        )
        for row in rows
    ]
    trail.record(tx, now, entries)


def digest(record: Mapping[str, Any]) -> str:
    """The first 16 hex digits of a record's SHA-256, by which the trail can name what it may not quote."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _keep(
    tx: Connection,
    kind: str,
    signal_id: uuid.UUID,
    record: Mapping[str, Any],
    made_at: datetime | None,
    audit_id: uuid.UUID,
    now: datetime,
) -> None:
    """A record that two replays in a row find unchanged is kept once."""
    tx.execute(
        text(
            "INSERT INTO superseded (superseded_id, signal_id, kind, made_at, at, audit_id, record)"
            " VALUES (:superseded_id, :signal_id, :kind, :made_at, :at, :audit_id, :record) ON CONFLICT DO NOTHING"
        ).bindparams(bindparam("record", type_=JSONB)),
        {
            "superseded_id": stable_id(kind, signal_id, made_at.timestamp()) if made_at else uuid7(),
            "signal_id": signal_id,
            "kind": kind,
            "made_at": made_at,
            "at": now,
            "audit_id": audit_id,
            "record": dict(record),
        },
    )
