"""`/_sandbox/`: what a test, the demo or a benchmark asks of the sandbox itself."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from adapters.sandbox import effects as effects_module
from adapters.sandbox.hubspot_seed import plant_objects
from adapters.sandbox.knobs import turn
from adapters.sandbox.slack_store import Channel
from adapters.sandbox.world import World, here

Json = dict[str, Any]


def blueprint() -> Blueprint:
    """The part that is not about one vendor."""
    blue = Blueprint("control", __name__)
    blue.add_url_rule("/effects", view_func=effects, methods=["GET"])
    blue.add_url_rule("/faults", view_func=faults, methods=["GET", "POST", "DELETE"])
    blue.add_url_rule("/mail", view_func=mail, methods=["GET"])
    blue.add_url_rule("/knobs", view_func=knobs, methods=["POST"])
    blue.add_url_rule("/reset", view_func=reset, methods=["POST"])
    blue.add_url_rule("/seed", view_func=seed, methods=["POST"])
    blue.add_url_rule("/gong/calls", view_func=gong_calls, methods=["POST"])
    blue.register_error_handler(ValueError, refused)
    return blue


def refused(error: ValueError) -> tuple[Response, int]:
    """A mistake of the caller: 400 with the sentence that says which."""
    return jsonify({"error": str(error)}), 400


def body_object() -> Json:
    """The request's JSON object; {} if there is no body. Raises ValueError for anything else."""
    if not request.get_data():
        return {}
    value = request.get_json(force=True, silent=True)
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


def effects() -> Response:
    """GET all that was done, `vendor` and `kind` narrow it, with what was done more than once."""
    done = here().effects.list(request.args.get("vendor"), request.args.get("kind"))
    return jsonify(effects_module.as_json(done))


def faults() -> tuple[Response, int]:
    """POST one fault or {"faults": […]}; GET shows them with their hits; DELETE makes all well."""
    world = here()
    if request.method == "DELETE":
        world.faults.clear()
    if request.method == "POST":
        body = body_object()
        for described in body.get("faults", [body]):
            world.faults.add(described)
    return jsonify({"faults": world.faults.list()}), 201 if request.method == "POST" else 200


def mail() -> Response:
    """GET every letter that was taken, the oldest first: `from`, `to`, `raw`, and its `headers` and `text` read."""
    return jsonify({"mail": here().mail})


def knobs() -> Response:
    """POST {"hubspot": {…}, "gong": {…}, "anthropic": {…} …} with the names of knobs.py and model_store.py."""
    turn_knobs(here(), body_object())
    return jsonify({"ok": True})


def reset() -> Response:
    """POST: everything as new."""
    here().reset()
    return jsonify({"ok": True})


def seed() -> tuple[Response, int]:
    """POST records for all vendors at once; see `plant`."""
    return jsonify(plant(here(), body_object())), 201


def gong_calls() -> tuple[Response, int]:
    """POST {"call": {…}, "transcript": […]}: a call that has been processed."""
    body = body_object()
    return jsonify({"id": here().gong.add(body.get("call") or {}, body.get("transcript"))}), 201


def turn_knobs(world: World, wanted: Mapping[str, Any]) -> None:
    """Set knobs by vendor. Raises ValueError for an unknown vendor or knob."""
    places: dict[str, object] = {
        "hubspot": world.hubspot.knobs,
        "gong": world.gong.knobs,
        "slack": world.slack.knobs,
        "mail": world.mail_knobs,
        **{name: store.knobs for name, store in world.models.items()},
    }
    for vendor, changes in wanted.items():
        if vendor not in places:
            raise ValueError(f"no vendor is called {vendor!r}")
        turn(places[vendor], changes)


def plant(world: World, wanted: Mapping[str, Any]) -> Json:
    """Put records where they have always been.

    {"knobs": as for /knobs, "hubspot": {"owners", "objects"}, "gong": {"calls": [{"call", "transcript"}]},
    "slack": {"channels": [{"id", "name", …}], "users": {email: id}}}. Nothing of it is an effect or an event.
    """
    turn_knobs(world, wanted.get("knobs") or {})
    crm = wanted.get("hubspot") or {}
    if "owners" in crm:
        world.hubspot.owners = list(crm["owners"])
    ids = plant_objects(world.hubspot, crm.get("objects") or [])
    for item in (wanted.get("gong") or {}).get("calls") or []:
        world.gong.add(item["call"], item.get("transcript"))
    chat = wanted.get("slack") or {}
    for item in chat.get("channels") or []:
        world.slack.channels[item["id"]] = Channel(**item)
    world.slack.users.update(chat.get("users") or {})
    return {"hubspot": ids}
