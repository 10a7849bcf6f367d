"""The records and associations of the simulated HubSpot account, and what each change sets off."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.sandbox import hubspot_account, hubspot_schema, hubspot_values
from adapters.sandbox.hubspot_events import Event, Events
from adapters.sandbox.hubspot_links import Links
from adapters.sandbox.hubspot_record import Author, Record, Version, person
from adapters.sandbox.knobs import HubSpotKnobs
from adapters.sandbox.times import iso


class HubSpotStore:
    """Every change returns the events that HubSpot would send for it; times are epoch milliseconds."""

    def __init__(self, knobs: HubSpotKnobs, now: Callable[[], int]) -> None:
        self.knobs = knobs
        self.now = now
        self.chance = random.Random(20260301)
        self.events = Events(knobs, self.chance)
        self.links = Links(knobs, now)
        self.owners = hubspot_account.usual_owners()
        self.kinds = {type_id: dict(kinds) for type_id, kinds in hubspot_schema.PROPERTIES.items()}
        self._records: dict[str, dict[str, Record]] = {type_id: {} for type_id in hubspot_schema.TYPES}
        self._merged_into: dict[tuple[str, str], str] = {}
        # Real ids have 11 to 13 digits; anything below 2^31 would hide a 32-bit mistake.
        self._last_id = 310_000_000_000

    @property
    def app(self) -> Author:
        """Our own app as the author of a change."""
        return Author("INTEGRATION", str(self.knobs.app_id))

    def find(self, type_id: str, id: str, *, archived: bool = False) -> Record | None:
        """The record as a reader sees it now: not before it is readable; an id merged away gives its successor."""
        record = self._records[type_id].get(self.survivor(type_id, id))
        if record is None or record.archived is not archived or record.readable_at > self.now():
            return None
        return record

    def survivor(self, type_id: str, id: str) -> str:
        """The id itself, or the one it was merged into."""
        while (type_id, id) in self._merged_into:
            id = self._merged_into[type_id, id]
        return id

    def all(self, type_id: str) -> list[Record]:
        """Readable records, oldest id first."""
        return [
            record
            for _, record in sorted(self._records[type_id].items(), key=lambda item: int(item[0]))
            if not record.archived and record.readable_at <= self.now()
        ]

    def insert(
        self,
        type_id: str,
        values: Mapping[str, Any],
        *,
        author: Author | None = None,
        id: str | None = None,
        created_at: int | None = None,
        seeded: bool = False,
    ) -> tuple[Record, list[Event]]:
        """Add a record. A seeded one has always been there: search and readers see it at once."""
        now = self.now()
        at = now if created_at is None else created_at
        author = author or person()
        if id is None:
            self._last_id += self.chance.randint(1, 999)
            id = str(self._last_id)
        record = Record(type_id, id, at, at)
        record.readable_at = 0 if seeded else now + int(self.knobs.readable_after * 1000)
        self._records[type_id][id] = record
        given = self._store(record, values, at, author, written_at=0 if seeded else now)
        fixed = {"hs_object_id": id, hubspot_schema.created_property(type_id): iso(at)}
        fixed |= {"hs_object_source": author.source, "hs_object_source_id": author.source_id or ""}
        self._store(record, fixed, at, author, written_at=0 if seeded else now)
        return record, self.events.created(type_id, id, at, author, given)

    def change(
        self, record: Record, values: Mapping[str, Any], *, author: Author, at: int | None = None
    ) -> list[Event]:
        """Write properties; a value that stays the same is no change and sends nothing."""
        at = self.now() if at is None else at
        kinds = self.kinds[record.type_id]
        news = {
            name: value
            for name, value in values.items()
            if hubspot_values.stored(kinds, name, value) != (record.value(name) or "")
        }
        if not news:
            return []
        written = self._store(record, news, at, author, written_at=self.now())
        return self.events.changed(record.type_id, record.id, at, author, written)

    def add_history(self, record: Record, name: str, versions: Sequence[tuple[Any, int, Author]]) -> None:
        """Give a seeded record earlier values: (value, at, author) each."""
        kinds = self.kinds[record.type_id]
        record.history.pop(name, None)
        for value, at, author in versions:
            record.put(name, Version(hubspot_values.stored(kinds, name, value), at, author, 0))

    def archive(self, record: Record, *, author: Author, at: int | None = None) -> list[Event]:
        """Put a record into the bin, its associations with it."""
        record.archived = True
        self.links.drop(record.type_id, record.id)
        return self.events.deleted(record.type_id, record.id, self.now() if at is None else at, author)

    def merge(self, primary: Record, others: Sequence[Record], *, author: Author) -> list[Event]:
        """Merge into a new record: old ids answer with it, but their associations are gone (HubSpot changelog)."""
        values = {
            name: versions[0].value
            for record in (*reversed(others), primary)
            for name, versions in record.history.items()
            if name not in hubspot_schema.READ_ONLY
        }
        olds = [primary.id, *(record.id for record in others)]
        values["hs_merged_object_ids"] = ";".join(olds)
        fresh, _ = self.insert(primary.type_id, values, author=author)
        fresh.readable_at = 0
        for old in (primary, *others):
            self.links.move(old.type_id, old.id, fresh.id)
            old.archived = True
            self._merged_into[old.type_id, old.id] = fresh.id
        return self.events.merged(fresh.type_id, fresh.id, primary.id, olds[1:], self.now(), author)

    def _store(
        self, record: Record, values: Mapping[str, Any], at: int, author: Author, *, written_at: int
    ) -> dict[str, str]:
        kinds = self.kinds[record.type_id]
        texts = {name: hubspot_values.stored(kinds, name, value) for name, value in values.items()}
        stage = texts.get("dealstage")
        if record.type_id == "0-3" and stage in hubspot_account.STAGES:
            texts = {"hs_v2_date_entered_current_stage": iso(at)} | hubspot_account.stage_facts(stage) | texts
        record.updated_at = max(record.updated_at, at)
        for name, text in texts.items():
            record.put(name, Version(text, at, author, written_at))
        modified = hubspot_schema.modified_property(record.type_id)
        record.put(modified, Version(iso(record.updated_at), record.updated_at, author, written_at))
        return texts
