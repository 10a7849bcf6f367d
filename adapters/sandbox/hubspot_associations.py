"""`/crm/v4/associations` and `/crm/v4/objects/{type}/{id}/associations`: who belongs to whom."""

from typing import Any

from flask import Response, jsonify, make_response, request

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_errors import invalid, missing
from adapters.sandbox.hubspot_record import Link
from adapters.sandbox.hubspot_render import Json, body_object, inputs_of, number, partial, timed, type_of
from adapters.sandbox.hubspot_write import check_kind, link
from adapters.sandbox.world import here

LIMIT = 1000
PAGE = 500


def batch_read(start: str, end: str, ver: str = "v4") -> tuple[Response, int]:
    """POST batch/read: a record without associations is an error entry under 207, not an empty list."""
    store, from_type, to_type = here().hubspot, type_of(start), type_of(end)
    results: list[Json] = []
    errors: list[Json] = []
    for item in inputs_of(body_object(), LIMIT):
        id = str(item.get("id"))
        found = store.links.of((from_type, id), to_type)
        if not found:
            errors.append(_none_found(from_type, to_type, id))
            continue
        after = int(item.get("after") or 0)
        result: Json = {"from": {"id": id}, "to": [_entry(*one) for one in found[after : after + PAGE]]}
        results.append(result | _paging(after + PAGE, len(found)))
    return jsonify(timed(store, results[::-1], errors)), partial(ver, 200, errors)


def one(start: str, id: str, end: str, ver: str = "v4") -> Response:
    """GET the associations of one record to one object type; here none is an empty list."""
    store, from_type = here().hubspot, type_of(start)
    if store.find(from_type, id) is None:
        raise missing()
    limit = number("limit", PAGE, PAGE)
    after = int(request.args.get("after") or 0)
    found = store.links.of((from_type, id), type_of(end))
    answer: Json = {"results": [_entry(*each) for each in found[after : after + limit]]}
    return jsonify(answer | _paging(after + limit, len(found)))


def put_default(start: str, id: str, end: str, end_id: str) -> Response:
    """PUT the unlabelled association between two records."""
    ids = hubspot_schema.link_types(type_of(start), type_of(end))
    if not ids:
        raise invalid(f"No association type is defined from {start} to {end}")
    return _linked(start, id, end, end_id, [{"associationTypeId": ids[0], "associationCategory": "HUBSPOT_DEFINED"}])


def put(start: str, id: str, end: str, end_id: str) -> Response:
    """PUT associations by type id; a type id of the other direction is a 400."""
    kinds = request.get_json(force=True, silent=True)
    if not isinstance(kinds, list) or not kinds:
        raise invalid("Invalid input JSON: expected a list of association types")
    for kind in kinds:
        if check_kind(type_of(start), kind) not in (None, type_of(end)):
            raise invalid(f"association type id {kind['associationTypeId']} doesn't lead to {end}")
    return _linked(start, id, end, end_id, kinds)


def remove(start: str, id: str, end: str, end_id: str) -> Response:
    """DELETE all associations between two records: 204."""
    world, ends = here(), ((type_of(start), id), (type_of(end), end_id))
    store = world.hubspot
    if store.links.remove(*ends):
        events = store.events.linked(ends, store.now(), store.app, removed=True, primary=False)
        store.events.pending.extend(events)
        world.effects.record("hubspot", "associations.archive", f"{id}:{end_id}", None)
    return make_response("", 204)


def _linked(start: str, id: str, end: str, end_id: str, kinds: list[Json]) -> Response:
    world = here()
    ends = ((type_of(start), id), (type_of(end), end_id))
    if any(world.hubspot.find(*each) is None for each in ends):
        raise missing()
    for kind in kinds:
        link(world.hubspot, *ends, kind)
    world.effects.record("hubspot", "associations.create", f"{id}:{end_id}", kinds)
    return jsonify({"fromObjectId": int(id), "toObjectId": int(end_id), "labels": []})


def _entry(id: str, link: Link) -> Json:
    # A number on the wire, although HubSpot's own specification says text (seen live by integrators).
    return {"toObjectId": int(id), "associationTypes": link.types}


def _paging(reached: int, total: int) -> dict[str, Any]:
    return {"paging": {"next": {"after": str(reached)}}} if reached < total else {}


def _none_found(from_type: str, to_type: str, id: str) -> Json:
    start, end = hubspot_schema.singular(from_type), hubspot_schema.singular(to_type)
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "message": f"No {end} is associated with {start} {id}.",
        "context": {"fromObjectId": [id], "fromObjectType": [start], "toObjectType": [end]},
    }
