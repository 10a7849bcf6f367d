"""From a signal, its context and its history to the facts that rules see."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from revpipe.ports import Part
from revpipe.rules.deal_facts import call_facts, deal_facts, hours_since, moment
from revpipe.rules.fields import EVENTS, FIELDS, Field
from revpipe.signals import Signal

__all__ = ["EVENTS", "FIELDS", "Facts", "Field", "change_of", "facts"]

_LIST_LIMIT: Final = 200
_MOST: Final = 2**63 - 1


class Fields(Mapping[str, Any]):
    """The fields of one root, each of the type it promises. One is brought into it when it is first asked for."""

    __slots__ = ("_known", "_made", "_raw")

    def __init__(self, raw: Mapping[str, Any], known: Mapping[str, Field]) -> None:
        self._raw = raw
        self._known = known
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        try:
            return self._made[name]
        except KeyError:
            value = self._made[name] = shape(self._raw.get(name), self._known[name])
            return value

    def get(self, name: str, default: Any = None) -> Any:
        """As for any mapping, without the cost of an exception for what is not there."""
        return self[name] if name in self._known else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class Facts(Mapping[str, Any]):
    """Everything a rule may ask about, by root. A root is made when it is first asked for: most are never."""

    def __init__(self, roots: Mapping[str, Callable[[], Mapping[str, Any]]], now: datetime) -> None:
        self._roots = roots
        self._made: dict[str, Any] = {"now": now}

    def __getitem__(self, root: str) -> Any:
        if root not in self._made:
            self._made[root] = Fields(self._roots[root](), FIELDS[root])
        return self._made[root]

    def get(self, root: str, default: Any = None) -> Any:
        """As for any mapping, without the cost of an exception for what is not there."""
        return self[root] if root in self._made or root in self._roots else default

    def __iter__(self) -> Iterator[str]:
        return iter((*self._roots, "now"))

    def __len__(self) -> int:
        return len(self._roots) + 1


def facts(
    signal: Signal,
    parts: Mapping[str, Part],
    history: Mapping[str, Any],
    now: datetime,
    changes: Sequence[Mapping[str, Any]] = (),
) -> Facts:
    """Each field of each root, of the type it promises, or None if absent.

    `history` is {"open_actions": [{"rule", "type"}], "actions_30d": int, "signals_7d": int}. `now` is aware.
    `changes` is what the signal carries, each as `change_of` tells it; without any it carries itself.
    A value of the wrong type counts as absent: a rule must never meet a text where it expects a number.
    """
    now = now.astimezone(UTC)
    deal, change = _value(parts, "deal"), _value(parts, "change")
    account, contact, calls = (_value(parts, name) for name in ("account", "contact", "calls"))
    roots: dict[str, Callable[[], Mapping[str, Any]]] = {
        "signal": lambda: {
            **_signal_facts(signal, change, now),
            "changes": changes or [change_of(signal, parts)],
        },
        "deal": lambda: {**deal, **deal_facts(signal, deal, change, now), "id": deal.get("id") or signal.deal_id},
        "account": lambda: {**account, "id": account.get("id") or deal.get("account_id") or signal.account_id},
        "contact": lambda: {**contact, "id": contact.get("id") or signal.contact_id},
        "calls": lambda: {**calls, **call_facts(signal, calls, now)},
        "history": lambda: {**history, **_history_facts(history)},
        "intent": lambda: _value(parts, "intent"),
        "behaviour": lambda: _value(parts, "behaviour"),
    }
    return Facts(roots, now)


def change_of(signal: Signal, parts: Mapping[str, Part]) -> dict[str, Any]:
    """One change, as a record of `signal.changes`."""
    payload, change = signal.payload, _value(parts, "change")
    return {
        "event": signal.event,
        "property": payload.get("property", change.get("property")),
        "old_value": change.get("old_value"),
        "new_value": change.get("new_value", payload.get("new_value")),
        "fired_at": signal.fired_at.astimezone(UTC).isoformat(),
        "object_type": payload.get("object_type"),
        "object_id": payload.get("object_id"),
    }


def shape(value: Any, field: Field) -> Any:
    """`value` as the type of the vocabulary's field, or None where it is absent or can't be that type."""
    if value is None:
        return None
    return _maps(value, field.keys) if field.type == "maps" else _SHAPES[field.type](value)


def _value(parts: Mapping[str, Part], name: str) -> Mapping[str, Any]:
    part = parts.get(name)
    return part.value if part is not None and part.value is not None else {}


def _signal_facts(signal: Signal, change: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    payload = signal.payload
    old, new = change.get("old_value"), change.get("new_value", payload.get("new_value"))
    before, after = _float(old), _float(new)
    percent = (after - before) / abs(before) * 100 if before and after is not None else None
    return {
        **{key: payload.get(key) for key in FIELDS["signal"]},
        "id": str(signal.signal_id),
        "type": signal.signal_type,
        "event": signal.event,
        "source": signal.source,
        "urgency": signal.urgency,
        "confidence": signal.confidence,
        "fired_at": signal.fired_at,
        "received_at": signal.received_at,
        "age_hours": hours_since(signal.fired_at, now),
        "deal_id": signal.deal_id,
        "account_id": signal.account_id,
        "contact_id": signal.contact_id,
        "property": payload.get("property", change.get("property")),
        "old_value": old,
        "new_value": new,
        "old_number": before,
        "new_number": after,
        "change_percent": percent,
        "stale": change.get("overtaken") is True,
        "call_title": payload.get("title"),
        "call_url": payload.get("url"),
        "said_by": payload.get("competitor_said_by"),
        "trackers": _names(payload.get("trackers")),
    }


def _names(items: Any) -> list[str] | None:
    if not isinstance(items, list | tuple):
        return None
    return [str(item["name"]) for item in items if isinstance(item, Mapping) and item.get("name")]


def _history_facts(history: Mapping[str, Any]) -> dict[str, Any]:
    actions = _maps(history.get("open_actions"), FIELDS["history"]["open_actions"].keys)
    if actions is None:
        return {}
    return {"open_rules": [item["rule"] for item in actions], "open_types": [item["type"] for item in actions]}


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _int(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= _MOST else None
    number = _float(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < _MOST else None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _time(value: Any) -> str | None:
    parsed = moment(value)
    return parsed.isoformat() if parsed else None


def _texts(value: Any) -> list[str] | None:
    if not isinstance(value, list | tuple):
        return None
    return [item for item in value[:_LIST_LIMIT] if isinstance(item, str)]


def _maps(value: Any, keys: tuple[str, ...]) -> list[dict[str, str]] | None:
    if not isinstance(value, list | tuple):
        return None
    records = [item for item in value[:_LIST_LIMIT] if isinstance(item, Mapping)]
    return [{key: _text(item.get(key)) or "" for key in keys} for item in records]


_SHAPES: Final[dict[str, Callable[[Any], Any]]] = {
    "text": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "time": _time,
    "texts": _texts,
}
