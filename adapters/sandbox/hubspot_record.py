"""One CRM record with the history of each property, and one association."""

from dataclasses import dataclass, field
from typing import Any

from adapters.sandbox.times import iso


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change, in HubSpot's words: `CRM_UI`, `userId:7` for a person, `INTEGRATION` and an app id."""

    source: str
    source_id: str | None

    @property
    def user_id(self) -> int | None:
        """The user behind it, if it was a person."""
        prefix, _, number = (self.source_id or "").partition(":")
        return int(number) if prefix == "userId" and number.isdigit() else None


def person(user_id: int = 11223344) -> Author:
    """Someone at the CRM's own pages."""
    return Author("CRM_UI", f"userId:{user_id}")


@dataclass(frozen=True, slots=True)
class Version:
    """A property's value since `at`; search goes by `written_at`, when the sandbox learnt it."""

    value: str
    at: int
    author: Author
    written_at: int

    def as_json(self) -> dict[str, Any]:
        """One entry of propertiesWithHistory."""
        entry: dict[str, Any] = {"value": self.value, "timestamp": iso(self.at), "sourceType": self.author.source}
        if self.author.source_id is not None:
            entry["sourceId"] = self.author.source_id
        if self.author.user_id is not None:
            entry["updatedByUserId"] = self.author.user_id
        return entry


@dataclass(slots=True)
class Record:
    """A record of one object type. Versions are kept newest first; the newest by `at` is the present value."""

    type_id: str
    id: str
    created_at: int
    updated_at: int
    readable_at: int = 0
    archived: bool = False
    history: dict[str, list[Version]] = field(default_factory=dict)

    def put(self, name: str, version: Version) -> None:
        """Add a version where its time belongs."""
        versions = self.history.setdefault(name, [])
        place = next((index for index, other in enumerate(versions) if other.at <= version.at), len(versions))
        versions.insert(place, version)

    def value(self, name: str) -> str | None:
        """The present value; None if empty or never set."""
        versions = self.history.get(name)
        return (versions[0].value or None) if versions else None

    def indexed(self, name: str, before: int) -> str | None:
        """The value that had been written by `before`."""
        for version in self.history.get(name, ()):
            if version.written_at <= before:
                return version.value or None
        return None

    def first_written(self) -> int:
        """When the simulation learnt of this record."""
        return min((version.written_at for versions in self.history.values() for version in versions), default=0)


@dataclass(slots=True)
class Link:
    """What holds two records together in one direction; readers see it from `visible_at` on."""

    types: list[dict[str, Any]]
    visible_at: int = 0
