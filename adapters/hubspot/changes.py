"""What a property was before it changed. Webhooks hold the new value only; the CRM keeps the history."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from adapters.hubspot.answers import Entry
from adapters.hubspot.values import iso, looks_like_time, number, same, text
from revpipe.signals import Signal

_PATHS: Final = {
    "deal": "deals",
    "account": "companies",
    "contact": "contacts",
    "ticket": "tickets",
    "line_item": "line_items",
    "product": "products",
}
_TYPE_ID: Final = re.compile(r"\d{1,9}-\d{1,18}")
_SLACK: Final = timedelta(seconds=2)
"""How far a webhook's time and the history's time of one change may lie apart."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The property of a record that a signal says has changed; `object_type` is the CRM's own word."""

    object_type: str
    object_id: str
    property: str


def changed(signal: Signal) -> Changed | None:
    """What changed, None if the signal is about no change or about one that HubSpot keeps no history of."""
    name, object_id = text(signal.payload.get("property")), text(signal.payload.get("object_id"))
    object_type = text(signal.payload.get("object_type")) or ""
    path = _PATHS.get(object_type) or (object_type if _TYPE_ID.fullmatch(object_type) else None)
    if signal.source != "hubspot" or name is None or object_id is None or path is None:
        return None
    return Changed(path, object_id, name)


def change_value(signal: Signal, name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """The part `change` from a property's history, newest first.

    `at` is when the CRM says it happened; `overtaken` says that another value has been set since.
    """
    new = text(signal.payload.get("new_value"))
    place = _place(signal, new, entries)
    old = _value_before(signal, place, entries)
    newest = entries[0] if entries else None
    return {
        "property": name,
        "old_value": _typed(name, old, new),
        "new_value": _typed(name, new, old),
        "at": iso(entries[place].at if place is not None else signal.fired_at),
        "overtaken": bool(newest and newest.at > signal.fired_at and not same(newest.value, new)),
    }


def _place(signal: Signal, new: str | None, entries: Sequence[Entry]) -> int | None:
    """Where in the history the change is: of the entries with its value the one nearest in time."""
    hits = [place for place, entry in enumerate(entries) if same(entry.value, new)]
    return min(hits, key=lambda place: abs(entries[place].at - signal.fired_at), default=None)


def _value_before(signal: Signal, place: int | None, entries: Sequence[Entry]) -> str | None:
    if place is not None:
        return entries[place + 1].value if place + 1 < len(entries) else None
    # The history shows the value otherwise (a sensitive property) or lags: then what held at the time.
    held = (entry.value for entry in entries if entry.at < signal.fired_at - _SLACK)
    return next(held, None)


def _typed(name: str, value: str | None, other: str | None) -> Any:
    if name == "amount":
        return number(value)
    if value is None:
        return None
    dated = looks_like_time(value) and (not value.isdecimal() or (other is not None and not other.isdecimal()))
    if name == "closedate" or (dated and (other is None or looks_like_time(other))):
        return iso(value)
    return value
