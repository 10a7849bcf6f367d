"""Reading config/actions.yaml, so that each fault is told with its line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, time, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.queues import OUTBOUND
from revpipe.action_policy import (
    ACTION_TYPES,
    APPROVALS,
    APPROVERS,
    EDITABLE,
    EXECUTE,
    EXPIRE,
    NEVER_BY_ITSELF,
    ON_EXPIRY,
    ActionPolicy,
    Cap,
)
from revpipe.business_time import DAYS, BusinessHours, QuietHours
from revpipe.marked_yaml import Document, Path, parse
from revpipe.risk import DECIDERS, TIERS, Risk
from revpipe.rules.name_checks import guess

LONGEST_HOURS: Final = 24 * 30
EXPIRES_HOURS: Final = 4
MOST_NEEDED: Final = 5
_TOP: Final = ("actions", "zone", "business_hours", "risk")
_KEYS: Final = (
    *("adapter", "approval", "expires_hours", "on_expiry", "approvers", "needed", "self_approval", "editable"),
    *("clock", "quiet_hours", "per_recipient"),
)
_CLOCKS: Final = ("wall", "business")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def load(text: str, name: str = "actions.yaml") -> dict[str, ActionPolicy]:
    """The policies in `text` by action type.

    Raises Misconfigured with one line for each fault: `actions.yaml:LINE: what is wrong and what to do`.
    """
    document = parse(text, name)
    top = document.value
    if not isinstance(top, dict) or not isinstance(top.get("actions"), dict):
        document.fault((), "the file must have the key `actions`: a mapping from action type to its policy")
        document.raise_faults()
        return {}
    document.unknown_keys((), top, _TOP)
    reader = _Reader(document)
    zone = reader.zone(top.get("zone"))
    shared = _Shared(zone, reader.business(top.get("business_hours"), zone), reader.risk(top.get("risk")))
    made = {kind: reader.policy(kind, item, shared) for kind, item in top["actions"].items()}
    document.raise_faults()
    return made


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the file says for all types together."""

    zone: tzinfo
    hours: BusinessHours
    risk: Risk


class _Reader:
    """Reads values and notes their faults. What is wrong is replaced by something harmless: all faults are told."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def policy(self, kind: str, item: Any, shared: _Shared) -> ActionPolicy:
        path = ("actions", kind)
        if kind not in ACTION_TYPES:
            known = ", ".join(ACTION_TYPES)
            self._document.fault(path, f"unknown action type {kind!r}{guess(kind, ACTION_TYPES)} (there are {known})")
        if not isinstance(item, dict):
            self._document.fault(path, f"a policy must have the keys {', '.join(_KEYS)}")
            item = {}
        self._document.unknown_keys(path, item, _KEYS)
        on_expiry = self._word(kind, item, "on_expiry", ON_EXPIRY, EXPIRE if kind in NEVER_BY_ITSELF else EXECUTE)
        if on_expiry == EXECUTE and kind in NEVER_BY_ITSELF:
            fault = f"{kind}: `on_expiry` can't be 'execute': a person must have read what a customer reads"
            self._document.fault((*path, "on_expiry"), fault)
        business = self._word(kind, item, "clock", _CLOCKS, "wall") == "business"
        return ActionPolicy(
            type=kind,
            adapter=self._word(kind, item, "adapter", tuple(OUTBOUND)),
            approval=self._word(kind, item, "approval", APPROVALS),
            expires=self._hours(kind, item),
            on_expiry=on_expiry,
            approvers=self._words(kind, item, "approvers", APPROVERS, ("owner", "stand_in", "operator")),
            needed=self._number((*path, "needed"), item.get("needed", 1), MOST_NEEDED),
            self_approval=self._flag((*path, "self_approval"), item.get("self_approval", True)),
            editable=self._words(kind, item, "editable", None, EDITABLE),
            hours=shared.hours if business else None,
            quiet=self._quiet((*path, "quiet_hours"), item.get("quiet_hours"), shared.zone),
            cap=self._cap((*path, "per_recipient"), item.get("per_recipient")),
            risk=shared.risk,
        )

    def zone(self, value: Any) -> tzinfo:
        if value is None:
            return UTC
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self._document.fault(("zone",), f"there is no time zone {value!r}; write one like Europe/Berlin")
            return UTC

    def business(self, value: Any, zone: tzinfo) -> BusinessHours:
        path: Path = ("business_hours",)
        item = self._mapping(path, value, ("days", "from", "to"))
        days = item.get("days", list(DAYS[:5]))
        if not isinstance(days, list) or not days or any(day not in DAYS for day in days):
            self._document.fault((*path, "days"), f"`days` must be a list of {', '.join(DAYS)}")
            days = list(DAYS[:5])
        opens = self._time((*path, "from"), item.get("from", "09:00"))
        closes = self._time((*path, "to"), item.get("to", "17:00"))
        if opens >= closes:
            self._document.fault(path, "`from` must be before `to`")
        return BusinessHours(frozenset(DAYS.index(day) for day in days), opens, closes, zone)

    def risk(self, value: Any) -> Risk:
        path: Path = ("risk",)
        item, usual = self._mapping(path, value, ("amount", "unknown_amount", "decided_by")), Risk()
        amounts = dict(usual.amounts)
        for tier, least in self._mapping((*path, "amount"), item.get("amount"), TIERS[1:]).items():
            if isinstance(least, bool) or not isinstance(least, int | float):
                self._document.fault((*path, "amount", tier), f"`{tier}` must be an amount, a number")
            else:
                amounts[tier] = float(least)
        unknown = self._tier((*path, "unknown_amount"), item.get("unknown_amount", usual.unknown))
        deciders = dict(usual.decided_by)
        for who, tier in self._mapping((*path, "decided_by"), item.get("decided_by"), DECIDERS).items():
            deciders[who] = self._tier((*path, "decided_by", who), tier)
        return Risk(amounts, unknown, deciders)

    def _quiet(self, path: Path, value: Any, zone: tzinfo) -> QuietHours | None:
        if value is None:
            return None
        item = self._mapping(path, value, ("from", "to"))
        begins, ends = (self._time((*path, name), item.get(name)) for name in ("from", "to"))
        if begins == ends:
            self._document.fault(path, "`from` and `to` must differ")
        return QuietHours(begins, ends, zone)

    def _cap(self, path: Path, value: Any) -> Cap | None:
        if value is None:
            return None
        item = self._mapping(path, value, ("most", "days"))
        most = self._number((*path, "most"), item.get("most"), 1000)
        return Cap(most, timedelta(days=self._number((*path, "days"), item.get("days"), 90)))

    def _mapping(self, path: Path, value: Any, keys: tuple[str, ...]) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._document.fault(path, f"`{path[-1]}` must have the keys {', '.join(keys)}")
            return {}
        self._document.unknown_keys(path, value, keys)
        return {key: one for key, one in value.items() if key in keys}

    def _word(
        self, kind: str, item: Mapping[str, Any], key: str, known: tuple[str, ...], default: str | None = None
    ) -> str:
        value = item.get(key, default)
        if value not in known:
            said = "is missing" if value is None else f"can't be {value!r}"
            self._document.fault(("actions", kind, key), f"{kind}: `{key}` {said}; write one of {', '.join(known)}")
        return str(value)

    def _words(
        self, kind: str, item: Mapping[str, Any], key: str, known: tuple[str, ...] | None, default: tuple[str, ...]
    ) -> tuple[str, ...]:
        value = item.get(key, list(default))
        sound = isinstance(value, list) and all(
            isinstance(one, str) if known is None else one in known for one in value
        )
        if not sound or (known and not value):
            fault = f"{kind}: `{key}` must be a list" + (f" of {', '.join(known)}" if known else " of params")
            self._document.fault(("actions", kind, key), fault)
            return default
        return tuple(value)

    def _hours(self, kind: str, item: Mapping[str, Any]) -> timedelta:
        value = item.get("expires_hours", EXPIRES_HOURS)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_HOURS:
            fault = f"{kind}: `expires_hours` must be a number above 0, at most {LONGEST_HOURS}"
            self._document.fault(("actions", kind, "expires_hours"), fault)
            return timedelta(hours=1)
        return timedelta(hours=value)

    def _number(self, path: Path, value: Any, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            self._document.fault(path, f"`{path[-1]}` must be a whole number from 1 to {most}")
            return 1
        return value

    def _flag(self, path: Path, value: Any) -> bool:
        if not isinstance(value, bool):
            self._document.fault(path, f"`{path[-1]}` must be true or false")
        return value is True

    def _tier(self, path: Path, value: Any) -> str:
        if value not in TIERS:
            self._document.fault(path, f"`{path[-1]}` must be one of {', '.join(TIERS)}")
            return TIERS[-1]
        return str(value)

    def _time(self, path: Path, value: Any) -> time:
        # Without quotes YAML reads 17:00 as the number 1020.
        found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            self._document.fault(path, f'`{path[-1]}` must be a time of day in quotes, like "09:00"')
            return time(0)
        return time(int(found[1]), int(found[2]))
