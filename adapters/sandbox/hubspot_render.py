"""Reading requests and writing records the way HubSpot's CRM API does."""

from collections.abc import Iterable
from typing import Any

from flask import request

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_errors import invalid
from adapters.sandbox.hubspot_record import Record
from adapters.sandbox.hubspot_store import HubSpotStore
from adapters.sandbox.times import iso

Json = dict[str, Any]


def type_of(word: str) -> str:
    """The object type id. Raises a 400 as HubSpot does for a word it can't place."""
    found = hubspot_schema.type_id(word)
    if found is None:
        raise invalid(f"Unable to infer object type from: {word}")
    return found


def body_object() -> Json:
    """The request's JSON object. Raises a 400 if it is anything else."""
    value = request.get_json(force=True, silent=True)
    if not isinstance(value, dict):
        raise invalid("Invalid input JSON on line 1, column 1: expected an object")
    return value


def inputs_of(body: Json, most: int) -> list[Json]:
    """The inputs of a batch. Raises a 400 if there are none, or more than `most`."""
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not all(isinstance(item, dict) for item in inputs):
        raise invalid("Invalid input JSON: inputs must be a list of objects")
    if not inputs or len(inputs) > most:
        raise invalid(f"The maximum number of inputs supported in a batch request is {most}, got {len(inputs)}")
    return inputs


def words(name: str) -> list[str]:
    """A comma-separated query parameter, which may also be repeated."""
    return [word for text in request.args.getlist(name) for word in text.split(",") if word]


def number(name: str, default: int, most: int) -> int:
    """A whole number of the query from 1 to `most`. Raises a 400 outside of it."""
    text = request.args.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) <= most:
        raise invalid(f"{name} must be between 1 and {most}")
    return int(text)


def rendered(store: HubSpotStore, record: Record, wanted: Iterable[str] = (), history: Iterable[str] = ()) -> Json:
    """A record: asked-for names that the account doesn't know are left out without a word; empty ones are null."""
    names = list(wanted) or list(hubspot_schema.DEFAULTS.get(record.type_id, ()))
    names += [hubspot_schema.created_property(record.type_id), hubspot_schema.modified_property(record.type_id)]
    known = [name for name in dict.fromkeys([*names, "hs_object_id"]) if name in store.kinds[record.type_id]]
    answer: Json = {
        "id": record.id,
        "properties": {name: record.value(name) for name in sorted(known)},
        "createdAt": iso(record.created_at),
        "updatedAt": iso(record.updated_at),
        "archived": record.archived,
    }
    asked = list(history)
    if asked:
        answer["propertiesWithHistory"] = {
            name: [version.as_json() for version in record.history.get(name, ())]
            for name in asked
            if name in store.kinds[record.type_id]
        }
    return answer


def inline_links(store: HubSpotStore, record: Record, kinds: Iterable[str], asked_id: str) -> Json:
    """The `associations` of a record: the same id once for each label."""
    found: Json = {}
    for word in kinds:
        to_type = type_of(word)
        name = f"{hubspot_schema.singular(record.type_id)}_to_{hubspot_schema.singular(to_type)}"
        results = []
        for id, link in store.links.of((record.type_id, asked_id), to_type):
            primary = any(entry["label"] == "Primary" for entry in link.types)
            results += [{"id": id, "type": name}]
            results += [{"id": id, "type": f"{name}_unlabeled"}] if primary else []
        if results:
            found[hubspot_schema.TYPES[to_type][1]] = {"results": results}
    return found


def timed(store: HubSpotStore, results: list[Json], errors: list[Json]) -> Json:
    """The envelope of a batch answer."""
    at = store.now()
    envelope: Json = {"status": "COMPLETE", "results": results, "startedAt": iso(at), "completedAt": iso(at + 3)}
    return envelope | ({"numErrors": len(errors), "errors": errors} if errors else {})


def partial(ver: str, good: int, errors: list[Json]) -> int:
    """The status of a batch answer: 207 for one with holes, which version 2026-09 no longer lists."""
    return 207 if errors and ver != "2026-09" else good
