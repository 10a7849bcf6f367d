"""The calls of the simulated Gong company."""

from collections.abc import Mapping
from typing import Any

from adapters.sandbox.knobs import GongKnobs
from adapters.sandbox.times import parse_ms

Json = dict[str, Any]


class GongStore:
    """Calls as Gong keeps them (`metaData`, `context`, `parties`, `content` …), and their transcripts."""

    def __init__(self, knobs: GongKnobs) -> None:
        self.knobs = knobs
        self._calls: dict[str, Json] = {}
        self.transcripts: dict[str, list[Json]] = {}

    def add(self, call: Json, transcript: list[Json] | None = None) -> str:
        """Keep a call; the same id replaces it. Raises ValueError without metaData.id and metaData.started."""
        facts = call.get("metaData") or {}
        if not facts.get("id") or not facts.get("started"):
            raise ValueError("a call needs metaData.id and metaData.started")
        parse_ms(facts["started"])
        self._calls[str(facts["id"])] = call
        if transcript is not None:
            self.transcripts[str(facts["id"])] = transcript
        return str(facts["id"])

    def find(self, id: str) -> Json | None:
        """One call."""
        return self._calls.get(id)

    def chosen(self, wanted: Mapping[str, Any]) -> list[Json]:
        """Calls that fit a filter (ids; started from inclusive, to exclusive; users; workspace), oldest first."""
        ids = wanted.get("callIds")
        users = wanted.get("primaryUserIds")
        since = parse_ms(wanted["fromDateTime"]) if wanted.get("fromDateTime") else None
        until = parse_ms(wanted["toDateTime"]) if wanted.get("toDateTime") else None
        found = []
        for id, call in self._calls.items():
            facts = call["metaData"]
            started = parse_ms(facts["started"])
            if (
                (not ids or id in ids)
                and (not users or facts.get("primaryUserId") in users)
                and (since is None or started >= since)
                and (until is None or started < until)
                and wanted.get("workspaceId") in (None, "", facts.get("workspaceId"))
            ):
                found.append(call)
        return sorted(found, key=lambda call: parse_ms(call["metaData"]["started"]))
