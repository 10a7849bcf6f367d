"""The `calls` part: what the ledger's own call signals say of a deal or account."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.ports import Part
from revpipe.signals import Signal

LOOK_BACK: Final = timedelta(days=90)
MOST: Final = 10
NOT_COUNTED: Final = ("test_call", "private_call")
"""Reasons why a call was suppressed that also keep it out of the history."""

# Counted for each deal by itself: one with many calls must not push out those of its chunk-mates.
_CALLS: Final = (
    "SELECT deal_id, account_id, payload, fired_at FROM ("
    "SELECT deal_id, account_id, payload, fired_at,"
    " row_number() OVER (PARTITION BY deal_id, account_id ORDER BY fired_at DESC) AS rank FROM signals"
    " WHERE event = 'call.completed' AND fired_at > :since AND (deal_id = ANY(:deals) OR account_id = ANY(:accounts))"
    " AND (reason IS NULL OR reason <> ALL(:not_counted))"
    ") AS ranked WHERE rank <= :most ORDER BY fired_at DESC"
)


def parts(tx: Connection, signals: Sequence[Signal], now: datetime) -> dict[uuid.UUID, Part]:
    """The calls of each signal's deal (else its account) in the last 90 days, newest first, at most ten."""
    deals = {signal.deal_id for signal in signals if signal.deal_id}
    accounts = {signal.account_id for signal in signals if signal.account_id}
    if not deals and not accounts:
        return {signal.signal_id: _part([], now) for signal in signals}
    values = {"deals": sorted(deals), "accounts": sorted(accounts), "since": now - LOOK_BACK, "most": MOST}
    calls = tx.execute(sql(_CALLS), {**values, "not_counted": list(NOT_COUNTED)}).all()
    return {signal.signal_id: _part([row for row in calls if _concerns(row, signal)][:MOST], now) for signal in signals}


def _concerns(row: Any, signal: Signal) -> bool:
    if signal.deal_id:
        return bool(row.deal_id == signal.deal_id)
    return bool(signal.account_id and row.account_id == signal.account_id)


def _part(rows: Sequence[Any], now: datetime) -> Part:
    distinct: dict[str, None] = {}
    for row in rows:
        distinct.update(dict.fromkeys(row.payload.get("competitors") or ()))
    value = {
        "recent": [_call(row.payload) for row in rows],
        "competitors": list(distinct),
        "last_at": rows[0].fired_at.isoformat() if rows else None,
    }
    return Part("calls", "ledger", now, value)


def _call(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "call_id": payload.get("call_id"),
        "title": payload.get("title"),
        "started_at": payload.get("started_at"),
        "duration_s": payload.get("duration_s"),
        "competitors": payload.get("competitors") or [],
        "said_by": payload.get("competitor_said_by"),
        "url": payload.get("url"),
    }
