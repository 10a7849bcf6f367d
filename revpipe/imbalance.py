"""Which signals of an hour are to blame when its sum is off: the trail knows what came in and how each one ended."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

NAMED: Final = 20

BLAMED: Final = {
    "lost": "the trail tells of it and its row is gone; restore it from a backup, or let its source send it again",
    "strange": "its row is there and the trail does not know it; it was not taken in by revpipe",
    "changed": "its row does not stand as its trail says; it was changed by hand: revpipe trace ID",
}
"""Kind of fault → what it means and what to do."""


@dataclass(frozen=True, slots=True)
class Off:
    """An hour (UTC) that does not add up: `difference` is how many signals should be open beyond those that are.

    `blamed` names the signals by kind of fault, the first 20 of each; empty if the trail shows nothing.
    """

    hour: datetime
    difference: int
    blamed: Mapping[str, tuple[uuid.UUID, ...]] = field(default_factory=dict)


def blame(tx: Connection, hour: datetime) -> dict[str, tuple[uuid.UUID, ...]]:
    """Look through the signals received in `hour`, by the indexes on time: costs what came in that hour."""
    values = {"hour": hour, "next": hour + timedelta(hours=1), "named": NAMED}
    found = {kind: _ids(tx, question, values) for kind, question in _QUESTIONS.items()}
    return {kind: ids for kind, ids in found.items() if ids}


def _ids(tx: Connection, question: str, values: Mapping[str, Any]) -> tuple[uuid.UUID, ...]:
    rows = tx.execute(text(f"{question} ORDER BY 1 LIMIT :named"), values)
    return tuple(rows.scalars())


_END: Final = (
    "CASE WHEN t.action_id IS NOT NULL THEN NULL WHEN t.what = 'buried' THEN 'dead_lettered'"
    " WHEN t.what = 'suppressed' THEN 'suppressed' ELSE t.detail ->> 'disposition' END"
)
# The last end that the trail tells of, and whether anything (a replay) came after it.
_CHANGED: Final = (
    f"SELECT s.signal_id FROM signals s LEFT JOIN LATERAL (SELECT {_END} AS ended, t.at, t.trail_id FROM trail t"  # noqa: S608
    f" WHERE t.signal_id = s.signal_id AND {_END} IS NOT NULL ORDER BY t.at DESC, t.trail_id DESC LIMIT 1) AS told"
    " ON true WHERE s.received_at >= :hour AND s.received_at < :next AND ("
    "(s.state = 'done' AND s.disposition IS DISTINCT FROM told.ended) OR (s.state <> 'done' AND told.ended IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM trail t WHERE t.signal_id = s.signal_id AND t.what <> 'duplicate'"
    " AND (t.at, t.trail_id) > (told.at, told.trail_id))))"
)
_QUESTIONS: Final = {
    "lost": (
        "SELECT t.signal_id FROM trail t WHERE t.at >= :hour AND t.at < :next AND t.what = 'received'"
        " AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.signal_id = t.signal_id)"
    ),
    "strange": (
        "SELECT s.signal_id FROM signals s WHERE s.received_at >= :hour AND s.received_at < :next"
        " AND NOT EXISTS (SELECT 1 FROM trail t WHERE t.signal_id = s.signal_id AND t.what = 'received')"
    ),
    "changed": _CHANGED,
}
