"""What HubSpot's answers say: records, links between them, and the failures hidden in a success.

A batch answer of 200 or 207 can hold results and errors side by side, and neither lines up with the inputs
(HubSpot docs, error handling; from version 2026-09 on the errors come under a plain 200).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from adapters.hubspot.values import choices, instant, text
from revpipe.errors import CredentialsRefused, NotFound, Permanent, RateLimited, RevpipeError, Transient

_REFUSED: Final = ("INVALID_AUTHENTICATION", "EXPIRED_AUTHENTICATION", "MISSING_SCOPES")
_FOR_EVER: Final = ("VALIDATION_ERROR", "CONFLICT", "BAD_REQUEST", "INVALID_PARAMETER")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that a property has had, and since when (aware UTC)."""

    value: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """One CRM object. `history` is newest first, for the properties that it was asked for."""

    id: str
    properties: Mapping[str, Any]
    history: Mapping[str, Sequence[Entry]] = field(default_factory=dict)

    @property
    def known_as(self) -> set[str]:
        """Its id and the ids of the records that were merged into it."""
        merged = self.properties.get("hs_merged_object_ids")
        return {self.id, *choices(merged)} if merged else {self.id}


@dataclass(frozen=True, slots=True)
class Link:
    """An association to the record `id`; `labels` as the account names them (`Primary` …)."""

    id: str
    labels: frozenset[str] = frozenset()


@dataclass(slots=True)
class Batch:
    """What a batch read found, by the id asked for; an id in neither is not there."""

    records: dict[str, Record] = field(default_factory=dict)
    errors: dict[str, RevpipeError] = field(default_factory=dict)


@dataclass(slots=True)
class Links:
    """The associations found, by the id asked for (no entry: there are none)."""

    to: dict[str, list[Link]] = field(default_factory=dict)
    errors: dict[str, RevpipeError] = field(default_factory=dict)


def items(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects in a list of an answer; an absent list is an empty one."""
    found = answer.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def next_page(answer: Mapping[str, Any]) -> str | None:
    """Where the next page of a list starts, None on the last."""
    paging = answer.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else None
    return text(following.get("after")) if isinstance(following, dict) else None


def record(item: Mapping[str, Any]) -> Record | None:
    """A record from its JSON, None if it has no id."""
    record_id, properties = text(item.get("id")), item.get("properties")
    if record_id is None:
        return None
    told = item.get("propertiesWithHistory")
    history = {name: _entries(rows) for name, rows in told.items()} if isinstance(told, dict) else {}
    return Record(record_id, properties if isinstance(properties, dict) else {}, history)


def links(item: Mapping[str, Any]) -> tuple[str | None, list[Link]]:
    """The id asked about and its links, each id once (HubSpot lists one per label in some answers)."""
    source = item.get("from")
    merged: dict[str, frozenset[str]] = {}
    for target in items(item, "to"):
        target_id = text(target.get("toObjectId"))
        if target_id:
            labels = {str(kind["label"]) for kind in items(target, "associationTypes") if kind.get("label")}
            merged[target_id] = merged.get(target_id, frozenset()) | labels
    asked = text(source.get("id")) if isinstance(source, dict) else None
    return asked, [Link(target_id, labels) for target_id, labels in merged.items()]


def failures(answer: Any, *keys: str) -> Iterator[tuple[list[str], RevpipeError]]:
    """The errors of an answer, each with what it names in its `context` under `keys` (empty if nothing)."""
    for item in items(answer, "errors") if isinstance(answer, dict) else []:
        context = item.get("context")
        told = [context.get(key) for key in keys] if isinstance(context, dict) else []
        yield [str(name) for names in told if isinstance(names, list) for name in names], failure(item)


def failure(item: Mapping[str, Any]) -> RevpipeError:
    """The error that one entry of `errors` stands for, by its category (HubSpot docs, error handling)."""
    category = text(item.get("category")) or "UNNAMED"
    said = f"hubspot says {category}: {(text(item.get('message')) or '')[:300]}"
    if category == "OBJECT_NOT_FOUND":
        return NotFound(said)
    if category in _REFUSED:
        return CredentialsRefused(said)
    if category in _FOR_EVER:
        return Permanent(said)
    return RateLimited(said) if category.startswith("RATE_LIMIT") else Transient(said)


def failure_of_write(error: RevpipeError) -> RevpipeError:
    """What the error of one input of a write means: ambiguous, unless it shows that the input was not carried out.

    HubSpot's other categories (INTERNAL_ERROR …) do not tell how far it had come with the input.
    """
    if isinstance(error, Transient) and not isinstance(error, RateLimited):
        return Transient(str(error), ambiguous=True)
    return error


def _entries(rows: Any) -> list[Entry]:
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    dated = [(text(row.get("value")), instant(row.get("timestamp"))) for row in found]
    entries = [Entry(value, at) for value, at in dated if at]
    return sorted(entries, key=lambda entry: entry.at, reverse=True) if len(entries) > 1 else entries
