"""How long each kind of record is kept once it is over, as config/retention.yaml says."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe.call_history import LOOK_BACK
from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.marked_yaml import Document, parse

KINDS: Final = ("deliveries", "signals", "trail", "dead_letters", "counters")
FOREVER: Final = "forever"
SHORTEST: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each kind is kept; None: for ever."""

    deliveries: timedelta | None
    signals: timedelta | None
    trail: timedelta | None
    dead_letters: timedelta | None
    counters: timedelta | None

    def limit(self, kind: str, now: datetime) -> datetime | None:
        """Before when what is over may go, None if it never may."""
        lasts: timedelta | None = getattr(self, kind)
        return None if lasts is None else now - lasts

    def as_dict(self) -> dict[str, str]:
        """In days, for the audit."""
        times = {kind: getattr(self, kind) for kind in KINDS}
        return {kind: FOREVER if lasts is None else f"{lasts.days}d" for kind, lasts in times.items()}


def load(text: str, name: str = "retention.yaml") -> Retention:
    """Read the file's text. Raises Misconfigured with one line for each fault: `retention.yaml:LINE: …`."""
    document = parse(text, name)
    top = document.value
    if not isinstance(top, dict) or not isinstance(top.get("retention"), dict):
        document.fault((), "the file must have the key `retention`: a mapping from kind to a number of days")
        document.raise_faults()
        raise Misconfigured(f"{name}: unreadable")
    entries = top["retention"]
    document.unknown_keys((), top, ("retention",))
    document.unknown_keys(("retention",), entries, KINDS)
    found = Retention(**{kind: _time(document, kind, entries.get(kind)) for kind in KINDS})
    _agree(document, found)
    document.raise_faults()
    return found


def _time(document: Document, kind: str, value: Any) -> timedelta | None:
    path = ("retention", kind)
    if value == FOREVER:
        return None
    try:
        lasts = duration(value, kind)
    except Misconfigured:
        document.fault(path, f"{kind}: {value!r} is no length of time; write days, as in 90d, or forever")
        return None
    if lasts < SHORTEST:
        document.fault(path, f"{kind}: at least 1d")
    return lasts


def _agree(document: Document, found: Retention) -> None:
    if found.signals is not None and found.signals < LOOK_BACK:
        document.fault(("retention", "signals"), f"signals: at least {LOOK_BACK.days}d, for rules look back so far")
    if found.trail is not None and (found.signals is None or found.trail < found.signals):
        document.fault(("retention", "trail"), "trail: at least as long as signals, or they could not be explained")
