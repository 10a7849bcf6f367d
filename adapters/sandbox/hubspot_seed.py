"""Records that have been in the account before anything begins."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_record import Author, person
from adapters.sandbox.hubspot_store import HubSpotStore
from adapters.sandbox.times import parse_ms


def plant_objects(store: HubSpotStore, objects: Sequence[Mapping[str, Any]]) -> list[str]:
    """Add records, then the associations between them; gives their ids in order.

    Each is {"type", "properties", and as wished "id", "createdAt" (ISO or ms), "history": {name: [{"value",
    "timestamp", "userId" or "sourceType" and "sourceId"}]}, "associations": [{"type", "id", "primary", "label":
    {"typeId", "label"}}]}. Properties that the account does not have yet are added to it as custom ones.
    Raises ValueError for an unknown type, a taken id or an association with nobody.
    """
    ids = [_plant(store, described) for described in objects]
    for described, id in zip(objects, ids, strict=True):
        for wanted in described.get("associations") or []:
            _tie(store, (_type(described["type"]), id), wanted)
    return ids


def author_of(described: Mapping[str, Any]) -> Author:
    """Who made a change: `sourceType` and `sourceId` in HubSpot's words, or `userId` for a person."""
    if described.get("sourceType"):
        return Author(described["sourceType"], described.get("sourceId"))
    return person(int(described["userId"])) if described.get("userId") else person()


def _plant(store: HubSpotStore, described: Mapping[str, Any]) -> str:
    type_id = _type(described.get("type"))
    values = dict(described.get("properties") or {})
    history = described.get("history") or {}
    for name in (*values, *history):
        store.kinds[type_id].setdefault(name, "text")
    id = str(described["id"]) if described.get("id") else None
    if id is not None and (not id.isdigit() or store.find(type_id, id) is not None):
        raise ValueError(f"id {id} is taken, or not a number")
    created = parse_ms(described["createdAt"]) if described.get("createdAt") else store.now()
    record, _ = store.insert(type_id, values, id=id, created_at=created, author=author_of(described), seeded=True)
    for name, versions in history.items():
        told = [(one["value"], parse_ms(one["timestamp"]), author_of(one)) for one in versions]
        store.add_history(record, name, told)
    return record.id


def _tie(store: HubSpotStore, start: tuple[str, str], wanted: Mapping[str, Any]) -> None:
    end = (_type(wanted.get("type")), str(wanted.get("id")))
    if store.find(*end) is None:
        raise ValueError(f"there is no {wanted.get('type')} {wanted.get('id')} to associate with")
    label = wanted.get("label")
    extra = {"category": "USER_DEFINED", **label} if label else None
    store.links.add(start, end, primary=bool(wanted.get("primary")), extra=extra)


def _type(word: Any) -> str:
    found = hubspot_schema.type_id(str(word))
    if found is None:
        raise ValueError(f"there is no object type {word!r}")
    return found
