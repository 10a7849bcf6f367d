"""The append-only journey of every signal, written in the same transaction as the change it tells of."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import bulk
from revpipe.ids import uuid7

COLUMNS: Final = ("at", "trail_id", "correlation_id", "signal_id", "action_id", "what", "detail")


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
    bulk.insert(tx, "trail", rows([(at, entries)]))


def rows(moments: Iterable[tuple[datetime, Iterable[Entry]]]) -> list[dict[str, Any]]:
    """What happened at several moments, in this order, as rows of the table."""
    return [
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
