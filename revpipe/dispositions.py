"""How a signal ends: exactly one disposition, found from its actions once none of them is in flight."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from revpipe import trail
from revpipe.models.action import OPEN
from revpipe.models.signal import DISPOSITIONS

OF_ACTION: Final = {
    "failed": "dead_lettered",
    "done": "acted",
    "rejected": "rejected",
    "expired": "expired",
    "cancelled": "expired",
    "suppressed": "suppressed",
}


def settle(tx: Connection, signal_ids: Sequence[uuid.UUID], now: datetime) -> None:
    """End those signals whose actions have all ended.

    The signal's row is locked before its actions are read: of two actions that end at once, the second
    sees the first.
    """
    ids = sorted(set(signal_ids))
    if not ids:
        return
    tx.execute(text("SELECT 1 FROM signals WHERE signal_id = ANY(:ids) ORDER BY signal_id FOR UPDATE"), {"ids": ids})
    rows = tx.execute(
        text(
            "SELECT s.signal_id, s.correlation_id, s.fired_at, s.disposition AS present,"
            " array_agg(a.state ORDER BY a.action_id) AS states, array_agg(a.reason ORDER BY a.action_id) AS reasons"
            " FROM signals s JOIN actions a USING (signal_id) WHERE s.signal_id = ANY(:ids)"
            " AND s.state IN ('waiting', 'done') GROUP BY s.signal_id ORDER BY s.signal_id"
        ),
        {"ids": ids},
    ).mappings()
    for row in rows.all():
        if any(state in OPEN for state in row["states"]):
            continue
        disposition = first_that_fits([OF_ACTION[state] for state in row["states"]])
        if disposition != row["present"]:
            reason = None if disposition == "acted" else _reason(disposition, row)
            finish(tx, [row["signal_id"]], disposition, reason, now)
            trail.record(
                tx,
                now,
                [
                    trail.Entry(
                        "settled",
                        row["signal_id"],
                        correlation_id=row["correlation_id"],
                        detail={"disposition": disposition, "after_s": _seconds(now, row["fired_at"])},
                    )
                ],
            )


def finish(tx: Connection, ids: Sequence[uuid.UUID], disposition: str, reason: str | None, now: datetime) -> None:
    """Write the end of signals: no stage, no queue, one disposition."""
    if ids:
        tx.execute(
            text(
                "UPDATE signals SET state = 'done', stage = NULL, queue = NULL, disposition = :disposition,"
                " reason = :reason, done_at = :now, claim_id = NULL, lease_until = NULL"
                " WHERE signal_id = ANY(:ids)"
            ),
            {"ids": sorted(ids), "disposition": disposition, "reason": reason, "now": now},
        )


def first_that_fits(found: Sequence[str]) -> str:
    """The disposition of highest precedence among `found`; `nothing_due` if there is none."""
    return next((one for one in DISPOSITIONS if one in found), "nothing_due")


def _reason(disposition: str, row: RowMapping) -> str | None:
    """The reason of the first action that led to this disposition, not that of one which ended otherwise."""
    pairs = zip(row["states"], row["reasons"], strict=True)
    return next((reason for state, reason in pairs if reason and OF_ACTION[state] == disposition), None)


def _seconds(now: datetime, then: datetime) -> float:
    return round((now - then).total_seconds(), 1)
