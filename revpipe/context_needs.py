"""Which context each event needs: config/sources.yaml, checked at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

import yaml

from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.signals import Signal
from revpipe.time_scale import shortened

PARTS: Final = ("deal", "change", "account", "contact", "calls")
QUIET: Final = "5s"
LONGEST_QUIET: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Need:
    """What one group of events needs, and for how long its signals are gathered (0: each is decided by itself)."""

    events: tuple[str, ...]
    required: frozenset[str]
    optional: frozenset[str]
    expires: timedelta
    quiet: timedelta

    @property
    def wanted(self) -> frozenset[str]:
        """Required and optional parts together."""
        return self.required | self.optional


@dataclass(frozen=True, slots=True)
class ContextNeeds:
    """The table of needs, first match wins, and how long each part may be reused."""

    entries: tuple[Need, ...]
    cache: Mapping[str, timedelta]

    def of(self, signal: Signal) -> Need:
        """What this signal needs."""
        return next(need for need in self.entries if any(fnmatchcase(signal.event, glob) for glob in need.events))

    def expires(self, signal: Signal) -> timedelta:
        """How long this signal may wait for its required context."""
        return shortened(self.of(signal).expires)


def load(source: str, name: str = "sources.yaml") -> ContextNeeds:
    """Read the file's text. Raises Misconfigured saying what is wrong with which entry."""
    try:
        document = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise Misconfigured(f"{name}: is not YAML: {error}") from error
    if not isinstance(document, dict) or set(document) - {"context", "cache"} or "context" not in document:
        raise Misconfigured(f"{name}: must hold `context` (a list) and may hold `cache`, nothing else")
    entries = tuple(_need(entry, f"{name}: context[{at}]") for at, entry in enumerate(document["context"]))
    if not entries or "*" not in entries[-1].events:
        raise Misconfigured(f"{name}: the last entry of `context` must match every event: events: ['*']")
    cache = {
        _part(part, f"{name}: cache"): duration(value, f"{name}: cache.{part}")
        for part, value in (document.get("cache") or {}).items()
    }
    return ContextNeeds(entries, cache)


def _need(entry: Any, where: str) -> Need:
    allowed = {"events", "required", "optional", "expires", "quiet"}
    if not isinstance(entry, dict) or set(entry) - allowed or not entry.get("events"):
        raise Misconfigured(f"{where}: must have `events`, and may have required, optional, expires and quiet")
    return Need(
        events=tuple(str(event) for event in entry["events"]),
        required=frozenset(_part(part, where) for part in entry.get("required") or ()),
        optional=frozenset(_part(part, where) for part in entry.get("optional") or ()),
        expires=duration(entry.get("expires", "24h"), f"{where}.expires"),
        quiet=_quiet(entry.get("quiet", QUIET), f"{where}.quiet"),
    )


def _quiet(value: Any, where: str) -> timedelta:
    found = timedelta(0) if value == 0 and not isinstance(value, bool) else duration(value, where)
    if found > LONGEST_QUIET:
        raise Misconfigured(f"{where}: {value!r} is too long; edits are gathered for 60s at the most (0: not at all)")
    return found


def _part(part: Any, where: str) -> str:
    if part not in PARTS:
        raise Misconfigured(f"{where}: no part is named {part!r}; there are: {', '.join(PARTS)}")
    return str(part)
