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

# Asked deal by deal and account by account, so that one with many calls does not push out those of its chunk-mates, and
# so that each is found by its own index, however many a chunk asks for.
_CALLS: Final = " UNION ALL ".join(
    f"SELECT calls.* FROM unnest(CAST(:{asked} AS text[])) AS asked(id), LATERAL ("  # noqa: S608
    f"SELECT signal_id, deal_id, account_id, payload, fired_at FROM signals AS s WHERE s.{column} = asked.id"
    " AND s.event = 'call.completed' AND s.fired_at > :since AND (s.reason IS NULL OR s.reason <> ALL(:not_counted))"
    " ORDER BY s.fired_at DESC LIMIT :most) AS calls"
    for asked, column in (("deals", "deal_id"), ("accounts", "account_id"))
)


def parts(tx: Connection, signals: Sequence[Signal], now: datetime) -> dict[uuid.UUID, Part]:
    """The calls of each signal's deal (else its account) in the last 90 days, newest first, at most ten."""
    deals = {signal.deal_id for signal in signals if signal.deal_id}
    accounts = {signal.account_id for signal in signals if signal.account_id}
    if not deals and not accounts:
        return {signal.signal_id: _part([], now) for signal in signals}
    values = {"deals": sorted(deals), "accounts": sorted(accounts), "since": now - LOOK_BACK, "most": MOST}
    found = tx.execute(sql(_CALLS), {**values, "not_counted": list(NOT_COUNTED)}).all()
    # A call of a deal that was asked for comes once more with its account.
    calls = sorted({row.signal_id: row for row in found}.values(), key=lambda row: row.fired_at, reverse=True)
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
