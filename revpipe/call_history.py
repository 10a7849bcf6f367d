"""The `calls` part: what the ledger's own call signals say of a deal or account."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, or_, select

from revpipe.models import SignalRow
from revpipe.ports import Part
from revpipe.signals import Signal

LOOK_BACK: Final = timedelta(days=90)
MOST: Final = 10
NOT_COUNTED: Final = ("test_call", "private_call")
"""Reasons why a call was suppressed that also keep it out of the history."""


def parts(tx: Connection, signals: Sequence[Signal], now: datetime) -> dict[uuid.UUID, Part]:
    """The calls of each signal's deal (else its account) in the last 90 days, newest first, at most ten."""
    deals = {signal.deal_id for signal in signals if signal.deal_id}
    accounts = {signal.account_id for signal in signals if signal.account_id}
    if not deals and not accounts:
        return {signal.signal_id: _part([], now) for signal in signals}
    # Counted for each deal by itself: one with many calls must not push out those of its chunk-mates.
    rank = func.row_number().over(
        partition_by=(SignalRow.deal_id, SignalRow.account_id), order_by=SignalRow.fired_at.desc()
    )
    ranked = (
        select(SignalRow.deal_id, SignalRow.account_id, SignalRow.payload, SignalRow.fired_at, rank.label("rank"))
        .where(
            SignalRow.event == "call.completed",
            SignalRow.fired_at > now - LOOK_BACK,
            or_(SignalRow.deal_id.in_(deals), SignalRow.account_id.in_(accounts)),
            or_(SignalRow.reason.is_(None), SignalRow.reason.not_in(NOT_COUNTED)),
        )
        .subquery()
    )
    calls = tx.execute(select(ranked).where(ranked.c.rank <= MOST).order_by(ranked.c.fired_at.desc())).all()
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
