"""Numbers that rules want and no vendor sends: days to close, days idle, pushes, steps back, recent rivals."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from revpipe.signals import Signal

RECENT_DAYS: Final = 14


def moment(value: Any) -> datetime | None:
    """A time given as ISO 8601 text or as a datetime, in UTC; a bare date is its midnight. None if unreadable."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        return None


def deal_facts(signal: Signal, deal: Mapping[str, Any], change: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The derived fields of `deal`, each None where what it rests on is not known."""
    close = moment(deal.get("close_date"))
    days_to_close = (close.date() - now.date()).days if close else None
    return {
        "days_to_close": days_to_close,
        "overdue": None if days_to_close is None else days_to_close < 0 and deal.get("is_closed") is not True,
        "idle_days": days_since(deal.get("last_activity_at"), now),
        "days_in_stage": days_since(deal.get("entered_stage_at"), now),
        "days_since_created": days_since(deal.get("created_at"), now),
        "close_date_pushes": pushes(deal.get("close_date_history")),
        "stage_moved_back": moved_back(deal, change) if signal.event == "deal.stage_changed" else None,
        "open_task_subjects": _subjects(deal.get("open_tasks")),
    }


def days_since(value: Any, now: datetime) -> int | None:
    """Whole days between a time and `now`; 0 for a time that is still to come."""
    at = moment(value)
    return max((now - at).days, 0) if at else None


def hours_since(value: Any, now: datetime) -> int | None:
    """Whole hours between a time and `now`; 0 for a time that is still to come."""
    at = moment(value)
    return max(int((now - at) / timedelta(hours=1)), 0) if at else None


def pushes(history: Any) -> int | None:
    """How often a close date was moved to a later day. `history` is [{"value", "at"}] in any order."""
    if not isinstance(history, list | tuple):
        return None
    dated = []
    for item in _records(history):
        at, value = moment(item.get("at")), moment(item.get("value"))
        if at and value:
            dated.append((at, value.date()))
    days = [day for _, day in sorted(dated)]
    return sum(later > earlier for earlier, later in pairwise(days))


def moved_back(deal: Mapping[str, Any], change: Mapping[str, Any]) -> bool | None:
    """Whether the stage change went to a stage that comes earlier in the pipeline; None if that can't be told."""
    history = [item for item in _records(deal.get("stage_history")) if _is_order(item.get("order"))]
    orders = {item.get("stage"): item["order"] for item in history}
    if _is_order(deal.get("stage_order")):
        orders.setdefault(deal.get("stage"), deal["stage_order"])
    old, new = change.get("old_value"), change.get("new_value")
    if change.get("property") == "dealstage" and old in orders and new in orders:
        return bool(orders[new] < orders[old])
    return _stepped_back(history, new)


def call_facts(signal: Signal, calls: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The derived fields of `calls`; a call that is itself the signal counts as one of them."""
    own = [] if signal.event != "call.completed" else [dict(signal.payload)]
    recent = [*own, *_records(calls.get("recent"))]
    known = bool(own) or "recent" in calls
    last = max(recent, key=_started, default={})
    fresh = [item for item in recent if (now - _started(item)).days < RECENT_DAYS]
    return {
        "count": len({item.get("call_id") for item in recent}) if known else None,
        "last_at": last.get("started_at") or calls.get("last_at"),
        "last_title": last.get("title"),
        "last_url": last.get("url"),
        "last_said_by": last.get("said_by", last.get("competitor_said_by")),
        "days_since_last": days_since(last.get("started_at") or calls.get("last_at"), now),
        "competitors": _distinct([*recent, calls]) if known else calls.get("competitors"),
        "competitors_14d": _distinct(fresh) if known else None,
    }


def _stepped_back(history: list[Mapping[str, Any]], new: Any) -> bool | None:
    dated = [(at, item) for item in history if (at := moment(item.get("at")))]
    newest_first = [item for _, item in sorted(dated, key=lambda pair: pair[0], reverse=True)]
    for item, before in pairwise(newest_first):
        if new is None or item.get("stage") == new:
            return bool(item["order"] < before["order"])
    return None


def _is_order(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _started(call: Mapping[str, Any]) -> datetime:
    return moment(call.get("started_at")) or datetime.min.replace(tzinfo=UTC)


def _distinct(calls: Iterable[Mapping[str, Any]]) -> list[str]:
    lists = (call.get("competitors") for call in calls)
    names = (name for names in lists if isinstance(names, list | tuple) for name in names)
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))


def _subjects(tasks: Any) -> list[str] | None:
    if not isinstance(tasks, list | tuple):
        return None
    return [str(item["subject"]) for item in _records(tasks) if item.get("subject")]


def _records(items: Any) -> list[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list | tuple) else []
