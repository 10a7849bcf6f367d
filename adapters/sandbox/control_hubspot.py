"""`/_sandbox/hubspot/`: what people do at HubSpot's own pages, and the webhooks that follow."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from adapters.sandbox import deliver as deliver_module
from adapters.sandbox import hubspot_schema
from adapters.sandbox.control import body_object, refused
from adapters.sandbox.hubspot_errors import ApiError
from adapters.sandbox.hubspot_events import Event
from adapters.sandbox.hubspot_record import Record
from adapters.sandbox.hubspot_render import rendered
from adapters.sandbox.hubspot_seed import author_of, plant_objects
from adapters.sandbox.hubspot_write import check_values
from adapters.sandbox.times import parse_ms
from adapters.sandbox.world import here

UNLOCKED: Final = frozenset({"control_hubspot.deliver"})
"""Views that call another server and so must not hold the world up."""


def blueprint() -> Blueprint:
    """The part that is about HubSpot."""
    blue = Blueprint("control_hubspot", __name__)
    blue.add_url_rule("/objects", view_func=seed, methods=["POST"])
    blue.add_url_rule("/objects/<kind>", view_func=create, methods=["POST"])
    blue.add_url_rule("/objects/<kind>/<id>", view_func=edit, methods=["PATCH"])
    blue.add_url_rule("/objects/<kind>/<id>", view_func=delete, methods=["DELETE"])
    blue.add_url_rule("/associations", view_func=associate, methods=["POST"])
    blue.add_url_rule("/merge", view_func=merge, methods=["POST"])
    blue.add_url_rule("/events", view_func=events, methods=["GET", "DELETE"])
    blue.add_url_rule("/deliver", view_func=deliver, methods=["POST"])
    blue.register_error_handler(ValueError, refused)
    blue.register_error_handler(ApiError, lambda error: (jsonify(error.body), error.status))
    return blue


def seed() -> tuple[Response, int]:
    """POST one record or {"objects": […]} that has always been there; see hubspot_seed."""
    body = body_object()
    ids = plant_objects(here().hubspot, body.get("objects", [body]))
    return jsonify({"ids": ids}), 201


def create(kind: str) -> tuple[Response, int]:
    """POST {"properties"}: a person makes a record; it is readable and searchable only after the usual delays."""
    store, body = here().hubspot, body_object()
    values = check_values(store, _type(kind), body)
    record, made = store.insert(_type(kind), values, author=author_of(body), created_at=_at(body))
    return jsonify({"record": rendered(store, record, values), "events": _sent(body, made)}), 201


def edit(kind: str, id: str) -> Response:
    """PATCH {"properties", "occurredAt", "userId"}: a person's change, at its own time."""
    store, body = here().hubspot, body_object()
    record = _record(kind, id)
    values = check_values(store, record.type_id, body)
    made = store.change(record, values, author=author_of(body), at=_at(body))
    return jsonify({"record": rendered(store, record, values), "events": _sent(body, made)})


def delete(kind: str, id: str) -> Response:
    """DELETE: a person puts a record into the bin."""
    store, body = here().hubspot, body_object()
    made = store.archive(_record(kind, id), author=author_of(body), at=_at(body))
    return jsonify({"events": _sent(body, made)})


def associate() -> Response:
    """POST {"from": {"type", "id"}, "to": {…}, "removed", "primary", "occurredAt"}: a person ties two records."""
    store, body = here().hubspot, body_object()
    ends = tuple((one.type_id, one.id) for one in (_record(**body["from"]), _record(**body["to"])))
    removed, primary = bool(body.get("removed")), bool(body.get("primary"))
    start, end = ends
    changed = store.links.remove(start, end) if removed else store.links.add(start, end, primary=primary)
    at = _at(body) or store.now()
    made = store.events.linked((start, end), at, author_of(body), removed=removed, primary=primary) if changed else []
    return jsonify({"events": _sent(body, made)})


def merge() -> Response:
    """POST {"type", "primary", "merged": [ids]}: a person merges records into a new one."""
    store, body = here().hubspot, body_object()
    primary = _record(body["type"], str(body["primary"]))
    others = [_record(body["type"], str(id)) for id in body["merged"]]
    made = store.merge(primary, others, author=author_of(body))
    return jsonify({"id": made[0]["newObjectId"] if made else None, "events": _sent(body, made)})


def events() -> Response:
    """GET the events that wait to be sent; DELETE takes them away and shows them once more."""
    waiting = here().hubspot.events
    return jsonify({"events": waiting.drain() if request.method == "DELETE" else list(waiting.pending)})


def deliver() -> Response:
    """POST {"target_url", "secret", "events", and the names of deliver.Wishes}: send events now.

    Without `events` those that wait are sent; without `target_url` or `secret` the knobs' are used.
    """
    world, body = here(), body_object()
    knobs = world.hubspot.knobs
    url = body.get("target_url") or knobs.target_url
    if not url:
        raise ValueError("there is no target_url, neither in the body nor as a knob")
    known = {item.name for item in fields(deliver_module.Wishes)}
    wishes = deliver_module.Wishes(**{name: value for name, value in body.items() if name in known})
    with world.lock:
        chosen = body["events"] if "events" in body else world.hubspot.events.drain()
    posts = deliver_module.deliver(world, url, body.get("secret") or knobs.client_secret, chosen, wishes)
    return jsonify(deliver_module.as_json(posts))


def _sent(body: Mapping[str, Any], made: list[Event]) -> list[Event]:
    """The events of a change wait to be sent, unless the caller says that it sends them itself."""
    if body.get("send", True):
        here().hubspot.events.pending.extend(made)
    return made


def _at(body: Mapping[str, Any]) -> int | None:
    return parse_ms(body["occurredAt"]) if body.get("occurredAt") is not None else None


def _type(word: str) -> str:
    found = hubspot_schema.type_id(word)
    if found is None:
        raise ValueError(f"there is no object type {word!r}")
    return found


def _record(type: str, id: str) -> Record:
    found = here().hubspot.find(_type(type), str(id))
    if found is None:
        raise ValueError(f"there is no {type} {id}")
    return found
