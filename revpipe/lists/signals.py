"""Signals for those who look: pages of them, one whole, and its trail."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.lists import owners
from revpipe.lists.walks import Mark, Page, Table, Walk

SIGNALS: Final = Table(
    "signals",
    "signal_id",
    "received_at",
    (
        *("signal_id", "signal_type", "event", "source", "account_id", "deal_id", "contact_id", "urgency", "priority"),
        *("confidence", "fired_at", "received_at", "state", "stage", "disposition", "reason", "done_at", "replays"),
        *("coalesced_into", "delivery_id", "correlation_id"),
    ),
)
AMONG: Final = ("deal_id", "account_id", "correlation_id", "delivery_id")
FITS: Final = ("source", "event", "state", "disposition", "priority")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which signals are meant; what is None is not asked. `owners`: the deal's owner must be one of these CRM ids."""

    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None
    event: str | None = None
    state: str | None = None
    disposition: str | None = None
    priority: str | None = None
    deal_id: str | None = None
    account_id: str | None = None
    correlation_id: uuid.UUID | None = None
    delivery_id: uuid.UUID | None = None
    owners: frozenset[str] | None = None


def page(tx: Connection, wanted: Filter, limit: int, behind: Mark | None = None) -> Page:
    """A page of signals, the one received last in front."""
    walk = Walk(SIGNALS)
    walk.between(wanted.since, wanted.until)
    walk.equal(walk.among, {name: getattr(wanted, name) for name in AMONG})
    walk.equal(walk.fits, {name: getattr(wanted, name) for name in FITS})
    if wanted.state not in (None, "done"):
        # What is open stands in an index of its own.
        walk.reach.append("t.state <> 'done'")
    if wanted.owners is not None:
        walk.fits.append(owners.AMONG)
        walk.values["owners"] = sorted(wanted.owners)
    return walk.page(tx, limit, behind)


def show(tx: Connection, signal_id: uuid.UUID) -> dict[str, Any] | None:
    """One signal with its payload, the parts of its context, its plan and its actions by id; None if there is none."""
    found = tx.execute(
        sql(
            "SELECT s.*, c.parts AS context, c.complete AS context_complete, p.plan_id,"
            " ARRAY(SELECT a.action_id FROM actions AS a WHERE a.signal_id = s.signal_id"
            " ORDER BY a.created_at, a.action_id) AS action_ids"
            " FROM signals AS s LEFT JOIN contexts AS c USING (signal_id) LEFT JOIN plans AS p USING (signal_id)"
            " WHERE s.signal_id = :id"
        ),
        {"id": signal_id},
    )
    row = found.mappings().first()
    return dict(row) if row else None


def trail(tx: Connection, signal_id: uuid.UUID, limit: int, behind: Mark | None = None) -> Page | None:
    """What happened to a signal, the first thing in front; None if there is no such signal."""
    received = tx.execute(sql("SELECT received_at FROM signals WHERE signal_id = :id"), {"id": signal_id}).scalar()
    if received is None:
        return None
    # Nothing is told of a signal before it came, but for clocks that differ: earlier months are not looked into.
    start = behind or Mark(received - timedelta(hours=1), uuid.UUID(int=0))
    rows = tx.execute(
        sql(
            "SELECT trail_id, at, what, action_id, correlation_id, detail FROM trail WHERE signal_id = :id"
            " AND at >= :at AND (at, trail_id) > (:at, :behind) ORDER BY at, trail_id LIMIT :most"
        ),
        {"id": signal_id, "at": start.at, "behind": start.id, "most": limit + 1},
    )
    items = [dict(row) for row in rows.mappings()]
    if len(items) <= limit:
        return Page(items)
    return Page(items[:limit], Mark(items[limit - 1]["at"], items[limit - 1]["trail_id"]))
