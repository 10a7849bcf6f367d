"""The record of everything that was really done at a simulated vendor, repeats included."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

_MARKER = re.compile(r"\[revpipe ([^\]\s]+)\]")


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing done: `kind` like `tasks.create` or `message`, the vendor's id, epoch milliseconds, the body.

    `marker` is the caller's own key found in the body, by which a repeat can be told; None without one.
    """

    vendor: str
    kind: str
    id: str
    at: int
    body: Any
    marker: str | None


class Effects:
    """Appends only; a repeat is one more entry."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._done: list[Effect] = []
        self._lock = threading.Lock()

    def record(self, vendor: str, kind: str, id: str, body: Any) -> Effect:
        """Note that something was done; the marker is looked for in `body`."""
        effect = Effect(vendor, kind, id, self._now(), body, find_marker(body))
        with self._lock:
            self._done.append(effect)
        return effect

    def list(self, vendor: str | None = None, kind: str | None = None) -> list[Effect]:
        """What was done, oldest first."""
        with self._lock:
            done = self._done.copy()
        return [item for item in done if vendor in (None, item.vendor) and kind in (None, item.kind)]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._done.clear()


def as_json(effects: list[Effect]) -> dict[str, Any]:
    """The effects with their repeats pointed out."""
    return {"effects": [asdict(item) for item in effects], "count": len(effects), "duplicates": repeats(effects)}


def repeats(effects: list[Effect]) -> list[dict[str, Any]]:
    """What was done more than once: same marker, or without one the same body (for updates to the same record)."""
    groups: dict[tuple[str, str, str], list[Effect]] = {}
    for item in effects:
        groups.setdefault((item.vendor, item.kind, _identity(item)), []).append(item)
    return [
        {"vendor": vendor, "kind": kind, "marker": same[0].marker, "ids": [item.id for item in same]}
        for (vendor, kind, _), same in groups.items()
        if len(same) > 1
    ]


def find_marker(body: Any) -> str | None:
    """The key in a text like `[revpipe KEY]`, or Slack's `metadata.event_payload.action_id` or `.key`."""
    if isinstance(body, dict) and isinstance(body.get("metadata"), dict):
        payload = body["metadata"].get("event_payload")
        if isinstance(payload, dict):
            for name in ("action_id", "key"):
                if payload.get(name):
                    return str(payload[name])
    found = _MARKER.search(json.dumps(body, ensure_ascii=False))
    return found.group(1) if found else None


def _identity(item: Effect) -> str:
    about = "" if item.kind.endswith("create") or item.kind == "message" else item.id
    if item.marker:
        return f"{about}|{item.marker}"
    return f"{about}|{json.dumps(item.body, sort_keys=True)}"
