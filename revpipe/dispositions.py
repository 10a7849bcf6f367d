"""How a signal ends: exactly one disposition, found from its actions once none of them is in flight."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, RowMapping

from revpipe import tallies, trail
from revpipe.columns import Uuids
from revpipe.db import sql
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
BEFORE: Final = {"enrich": "received", "decide": "enriched", "execute": "decided"}
"""Stage → the state of a signal that waits for it."""
REOPENED_FOR: Final = timedelta(hours=24)

# In id order, like every write of several rows. What each ended in before is read under its lock, so that the
# tallies follow the row through every change, whoever else changes it.
_FORMER: Final = (
    "WITH mine AS (SELECT signal_id, received_at, disposition FROM signals WHERE signal_id = ANY(:ids)"
    " ORDER BY signal_id FOR UPDATE)"
)


def settle(tx: Connection, signal_ids: Sequence[uuid.UUID], now: datetime) -> None:
    """End those signals whose actions have all ended.

    The signal's row is locked before its actions are read: of two actions that end at once, the second
    sees the first.
    """
    ids = Uuids(sorted(set(signal_ids)))
    if not ids:
        return
    tx.execute(sql("SELECT 1 FROM signals WHERE signal_id = ANY(:ids) ORDER BY signal_id FOR UPDATE"), {"ids": ids})
    rows = tx.execute(
        sql(
            "SELECT s.signal_id, s.correlation_id, s.fired_at, s.disposition AS present,"
            " array_agg(a.state ORDER BY a.action_id) AS states, array_agg(a.reason ORDER BY a.action_id) AS reasons"
            " FROM signals s JOIN actions a USING (signal_id) WHERE s.signal_id = ANY(:ids)"
            " AND s.state IN ('waiting', 'done') GROUP BY s.signal_id ORDER BY s.signal_id"
        ),
        {"ids": ids},
    ).mappings()
    groups: dict[tuple[str, str | None], list[uuid.UUID]] = {}
    entries = []
    for row in rows.all():
        if any(state in OPEN for state in row["states"]):
            continue
        disposition = first_that_fits([OF_ACTION[state] for state in row["states"]])
        if disposition == row["present"]:
            continue
        reason = None if disposition == "acted" else _reason(disposition, row)
        groups.setdefault((disposition, reason), []).append(row["signal_id"])
        detail = {"disposition": disposition, "after_s": _seconds(now, row["fired_at"])}
        entries.append(trail.Entry("settled", row["signal_id"], correlation_id=row["correlation_id"], detail=detail))
    for (disposition, reason), ended in groups.items():
        finish(tx, ended, disposition, reason, now)
    trail.record(tx, now, entries)


def finish(tx: Connection, ids: Sequence[uuid.UUID], disposition: str, reason: str | None, now: datetime) -> None:
    """Write the end of signals: no stage, no queue, one disposition, and its tally.

    A signal that had ended otherwise changes over; one that has this disposition already is counted once.
    """
    if ids:
        tx.execute(
            sql(
                f"{_FORMER}, ended AS (UPDATE signals AS s SET state = 'done', stage = NULL, queue = NULL,"  # noqa: S608
                " disposition = :disposition, reason = :reason, done_at = :now, claim_id = NULL, lease_until = NULL,"
                " waits_for = NULL, gathering = NULL FROM mine WHERE s.signal_id = mine.signal_id)"
                f" {tallies.CHANGED}"
            ),
            {"ids": Uuids(sorted(ids)), "disposition": disposition, "reason": reason, "now": now},
        )


def reopen(tx: Connection, signal_id: uuid.UUID, *, stage: str, due: datetime) -> bool:
    """Put an ended signal back to work at `stage`, due at `due`; its disposition is taken back in the tallies.

    Its attempts and deaths begin anew and it has a day at least until it expires. False if the signal has not
    ended (or is not there): then nothing changes. Raises KeyError for a stage that there is not.
    """
    settings = (
        "state = :state, stage = :stage, queue = :stage || '.' || s.priority, due_at = :due, attempts = 0,"
        " deaths = 0, expires_at = greatest(s.expires_at, :latest)"
    )
    values = {"state": BEFORE[stage], "stage": stage, "due": due, "latest": due + REOPENED_FOR}
    return _reopen(tx, signal_id, settings, values)


def reopen_waiting(tx: Connection, signal_id: uuid.UUID, now: datetime) -> bool:
    """Let an ended signal wait again, since one of its actions is carried out anew; `settle` will end it.

    False if the signal has not ended (or is not there): then nothing changes.
    """
    settings = "state = 'waiting', stage = NULL, queue = NULL, expires_at = greatest(s.expires_at, :latest)"
    return _reopen(tx, signal_id, settings, {"latest": now + REOPENED_FOR})


def _reopen(tx: Connection, signal_id: uuid.UUID, settings: str, values: Mapping[str, Any]) -> bool:
    done = tx.execute(
        sql(
            f"{_FORMER}, again AS (UPDATE signals AS s SET {settings}, disposition = NULL, reason = NULL,"  # noqa: S608
            " done_at = NULL, tried_at = NULL, sent_at = NULL, claim_id = NULL, lease_until = NULL, waits_for = NULL"
            " FROM mine WHERE s.signal_id = mine.signal_id AND mine.disposition IS NOT NULL)"
            f" {tallies.CHANGED}"
        ),
        {"ids": [signal_id], "disposition": None, **values},
    )
    return done.rowcount > 0


def first_that_fits(found: Sequence[str]) -> str:
    """The disposition of highest precedence among `found`; `nothing_due` if there is none."""
    return next((one for one in DISPOSITIONS if one in found), "nothing_due")


def _reason(disposition: str, row: RowMapping) -> str | None:
    """The reason of the first action that led to this disposition, not that of one which ended otherwise."""
    pairs = zip(row["states"], row["reasons"], strict=True)
    return next((reason for state, reason in pairs if reason and OF_ACTION[state] == disposition), None)


def _seconds(now: datetime, then: datetime) -> float:
    return round((now - then).total_seconds(), 1)
