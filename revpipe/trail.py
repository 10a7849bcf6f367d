"""The append-only journey of every signal, written in the same transaction as the change it tells of."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from revpipe.ids import uuid7
from revpipe.models import TrailRow


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
        for entry in entries
    ]
    if rows:
        tx.execute(insert(TrailRow), rows)
