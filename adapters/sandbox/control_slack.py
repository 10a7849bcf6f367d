"""`/_sandbox/slack/`: what people see and do in the simulated Slack."""

from typing import Final

from flask import Blueprint, Response, jsonify

from adapters.sandbox import slack_presses
from adapters.sandbox.control import body_object, refused
from adapters.sandbox.world import here

UNLOCKED: Final = frozenset({"control_slack.press", "control_slack.submit"})
"""Views that call another server, which calls back, and so must not hold the world up."""


def blueprint() -> Blueprint:
    """The part that is about Slack."""
    blue = Blueprint("control_slack", __name__)
    blue.add_url_rule("/messages", view_func=messages, methods=["GET"])
    blue.add_url_rule("/press", view_func=press, methods=["POST"])
    blue.add_url_rule("/submit", view_func=submit, methods=["POST"])
    blue.register_error_handler(ValueError, refused)
    return blue


def messages() -> Response:
    """GET every message with what it said before each edit, what was whispered, and the forms that are open."""
    store = here().slack
    shown = [
        {name: value for name, value in one.items() if name not in ("_before", "_visible_at")}
        | {"channel": channel.id, "before": one.get("_before", [])}
        for channel in store.channels.values()
        for one in channel.messages
    ]
    found = {"messages": shown, "whispers": store.whispers, "views": list(store.views.values())}
    return jsonify(found)


def press() -> Response:
    """POST {"channel", "ts", "button", "user"}: `button` is an action_id, `user` an id or an e-mail."""
    body = body_object()
    given = (str(body.get(name, "")) for name in ("channel", "ts", "button", "user"))
    return jsonify(slack_presses.press(here(), *given))


def submit() -> Response:
    """POST {"view", "values": {block_id: text}, "user"}."""
    body = body_object()
    values = {str(name): str(value) for name, value in (body.get("values") or {}).items()}
    return jsonify(slack_presses.submit(here(), str(body.get("view", "")), values, str(body.get("user", ""))))
