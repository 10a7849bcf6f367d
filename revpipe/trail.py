"""The append-only journey of every signal, written in the same transaction as the change it tells of."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from revpipe import bulk
from revpipe.ids import uuid7


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `detail` holds ids, codes and numbers only, never personal data."""

    what: str
    signal_id: uuid.UUID | None = None
    action_id: uuid.UUID | None = None
    correlation_id: uuid.UUID | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(tx: Connection, at: datetime, entries: Iterable[Entry]) -> None:
    """Append `entries` in their order."""
    record_all(tx, [(at, entries)])


def record_all(tx: Connection, moments: Iterable[tuple[datetime, Iterable[Entry]]]) -> None:
    """Append what happened at several moments, in this order."""
    rows = [
        {
            "at": at,
            "trail_id": uuid7(),
            "correlation_id": entry.correlation_id,
            "signal_id": entry.signal_id,
            "action_id": entry.action_id,
            "what": entry.what,
            "detail": dict(entry.detail),
        }
        for at, entries in moments
        for entry in entries
    ]
    bulk.insert(tx, "trail", rows)
