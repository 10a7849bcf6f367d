"""Associations between records, kept in both directions."""

from collections.abc import Callable
from typing import Any

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_record import Link
from adapters.sandbox.knobs import HubSpotKnobs

End = tuple[str, str]
"""An object type id and a record id."""


class Links:
    """Who is associated with whom, and by which association types."""

    def __init__(self, knobs: HubSpotKnobs, now: Callable[[], int]) -> None:
        self._knobs = knobs
        self._now = now
        self._links: dict[End, dict[End, Link]] = {}

    def add(self, start: End, end: End, *, primary: bool = False, extra: dict[str, Any] | None = None) -> bool:
        """Associate two records; a primary link is the default one too. `extra` is a label of the account's own.

        False if there was nothing to add.
        """
        fresh = end not in self._links.get(start, {})
        changed = False
        for here, there in ((start, end), (end, start)):
            visible_at = self._now() + int(self._knobs.links_visible_after * 1000)
            link = self._links.setdefault(here, {}).setdefault(there, Link([], visible_at))
            for entry in _types(here[0], there[0], primary, extra):
                if entry not in link.types:
                    link.types.append(entry)
                    changed = True
        return fresh or changed

    def remove(self, start: End, end: End) -> bool:
        """Take the association away, both directions; False if there was none."""
        gone = self._links.get(start, {}).pop(end, None)
        self._links.get(end, {}).pop(start, None)
        return gone is not None

    def of(self, start: End, to_type: str) -> list[tuple[str, Link]]:
        """The visible associations of one record to one object type, as (id, link)."""
        now = self._now()
        found = self._links.get(start, {}).items()
        return [(end[1], link) for end, link in found if end[0] == to_type and link.visible_at <= now]

    def drop(self, type_id: str, id: str) -> None:
        """Take away all associations of a record."""
        for end in list(self._links.get((type_id, id), {})):
            self.remove((type_id, id), end)

    def move(self, type_id: str, old: str, new: str) -> None:
        """Hand the associations of one record to another."""
        for end, link in list(self._links.get((type_id, old), {}).items()):
            self.remove((type_id, old), end)
            self.add((type_id, new), end, primary=len(link.types) > 1)


def _types(from_type: str, to_type: str, primary: bool, extra: dict[str, Any] | None) -> list[dict[str, Any]]:
    ids = hubspot_schema.link_types(from_type, to_type)
    entries = []
    if primary and len(ids) > 1:
        entries.append({"category": "HUBSPOT_DEFINED", "typeId": ids[1], "label": "Primary"})
    if ids:
        entries.append({"category": "HUBSPOT_DEFINED", "typeId": ids[0], "label": None})
    return entries + ([extra] if extra else [])
