"""`/crm/v3/objects/{type}` and `/{id}`: one record, or a page of them."""

from typing import Any

from flask import Response, jsonify, make_response, request

from adapters.sandbox.hubspot_errors import missing
from adapters.sandbox.hubspot_record import Record
from adapters.sandbox.hubspot_render import body_object, inline_links, number, rendered, type_of, words
from adapters.sandbox.hubspot_write import do_create, do_update
from adapters.sandbox.world import here


def read(kind: str, id: str, ver: str = "v3") -> Response:
    """GET one record, by its id or another unique property, with history and associations if asked for."""
    store, type_id = here().hubspot, type_of(kind)
    record = _wanted(type_id, id)
    answer = rendered(store, record, words("properties"), words("propertiesWithHistory"))
    # After a merge the old id still finds the record, but no longer its associations (HubSpot changelog).
    links = inline_links(store, record, words("associations"), id if id.isdigit() else record.id)
    return jsonify(answer | ({"associations": links} if links else {}))


def page(kind: str, ver: str = "v3") -> Response:
    """GET a page of records in id order: 10 by default, 100 at most, 50 with history."""
    store, type_id = here().hubspot, type_of(kind)
    history = words("propertiesWithHistory")
    limit = number("limit", 10, 50 if history else 100)
    after = int(request.args.get("after") or 0)
    records = [record for record in store.all(type_id) if int(record.id) >= after]
    found = [rendered(store, record, words("properties"), history) for record in records[:limit]]
    answer: dict[str, Any] = {"results": found}
    if len(records) > limit:
        answer["paging"] = {"next": {"after": records[limit].id}}
    return jsonify(answer)


def create(kind: str, ver: str = "v3") -> Response:
    """POST a new record with its associations: 201 with the record and its Location."""
    type_id, given = type_of(kind), body_object()
    record = do_create(here(), type_id, given)
    response = jsonify(rendered(here().hubspot, record, [*given["properties"], "hs_object_source"]))
    response.status_code = 201
    response.headers["Location"] = f"{request.base_url.rstrip('/')}/{record.id}"
    return response


def update(kind: str, id: str, ver: str = "v3") -> Response:
    """PATCH properties; an id merged away still works here."""
    record, given = _wanted(type_of(kind), id), body_object()
    do_update(here(), record, given)
    return jsonify(rendered(here().hubspot, record, list(given["properties"])))


def archive(kind: str, id: str, ver: str = "v3") -> Response:
    """DELETE puts into the bin: 204, whether or not the record was there."""
    world, type_id = here(), type_of(kind)
    record = world.hubspot.find(type_id, id)
    if record is not None:
        events = world.hubspot.archive(record, author=world.hubspot.app)
        world.hubspot.events.pending.extend(events)
        world.effects.record("hubspot", f"{kind}.archive", id, None)
    return make_response("", 204)


def _wanted(type_id: str, id: str) -> Record:
    store = here().hubspot
    by = request.args.get("idProperty")
    archived = request.args.get("archived") == "true"
    if by:
        found = next((record for record in store.all(type_id) if record.value(by) == id), None)
    else:
        found = store.find(type_id, id, archived=archived)
    if found is None:
        raise missing()
    return found
