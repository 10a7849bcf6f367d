"""What people do in the simulated Slack: press a button, send a form. Each sends a signed request, as Slack does."""

import http.client
import json
import time
from typing import Any, Final
from urllib.parse import urlencode

from adapters.sandbox import signing, wire
from adapters.sandbox.slack_store import Json, SlackStore
from adapters.sandbox.world import World

TIMEOUT: Final = 10.0
IN_TIME_MS: Final = 3000
"""Whoever answers later has not answered, to Slack; the caller is told when the answer came all the same."""


def press(world: World, channel: str, ts: str, button: str, user: str) -> Json:
    """Press a button of a message, by its action_id; gives the answer, and the form that opened, if one did.

    Raises ValueError if there is no such message, button or user.
    """
    with world.lock:
        store = world.slack
        person = _person(store, user)
        found = store.find(channel)
        message = next((one for one in (found.messages if found else ()) if one["ts"] == ts), None)
        if found is None or message is None:
            raise ValueError(f"there is no message {ts} in {channel}")
        payload = _pressed(world, found.id, message, button, person)
        opened = set(store.views)
    answer = send(world, payload)
    with world.lock:
        new = [view for name, view in store.views.items() if name not in opened and view["_user"] == person]
    return answer | {"view": new[-1] if new else None}


def submit(world: World, view_id: str, values: dict[str, str], user: str) -> Json:
    """Send a form with `values` by block_id; inputs not named keep what they began with."""
    with world.lock:
        store = world.slack
        person = _person(store, user)
        view = store.views.get(view_id)
        if view is None:
            raise ValueError(f"there is no form {view_id}")
        payload = _sent(world, view, values, person)
    answer = send(world, payload)
    with world.lock:
        _follow(store, view, answer)
    return answer


def send(world: World, payload: Json) -> Json:
    """Sign a payload and send it; gives status and body, and whether Slack would have waited for them."""
    url = world.slack.knobs.interactivity_url
    if url is None:
        raise ValueError("set the knob slack.interactivity_url first")
    body = urlencode({"payload": json.dumps(payload)}).encode()
    headers = signing.slack_headers(world.slack.knobs.signing_secret, body, int(time.time()))
    began = time.monotonic()
    try:
        answer = wire.send("POST", url, body, headers, TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        return {"status": None, "body": type(error).__name__, "took_ms": round((time.monotonic() - began) * 1000)}
    took = round((time.monotonic() - began) * 1000)
    told = {"status": answer.status, "body": answer.body.decode("utf-8", "replace")}
    return told | {"took_ms": took, "in_time": took < IN_TIME_MS}


def _person(store: SlackStore, user: str) -> str:
    person = store.users.get(user, user)
    if person not in store.users.values():
        raise ValueError(f"nobody in the workspace is {user!r}")
    return person


def _pressed(world: World, channel: str, message: Json, button: str, person: str) -> Json:
    for block in message.get("blocks") or ():
        for element in block.get("elements") or ():
            if block["type"] == "actions" and element.get("action_id") == button:
                acted = {name: element[name] for name in ("type", "action_id", "text", "value") if name in element}
                acted |= {"block_id": block.get("block_id", "b1"), "action_ts": world.slack.next_ts()}
                return _head(world, "block_actions", person) | {
                    "container": {"type": "message", "message_ts": message["ts"], "channel_id": channel},
                    "trigger_id": world.slack.trigger(person),
                    "channel": {"id": channel, "name": "directmessage"},
                    "message": {name: value for name, value in message.items() if not name.startswith("_")},
                    "state": {"values": {}},
                    "response_url": "https://hooks.slack.example/actions/none",
                    "actions": [acted],
                }
    raise ValueError(f"the message has no button {button!r}")


def _sent(world: World, view: Json, values: dict[str, str], person: str) -> Json:
    state: Json = {}
    for block in view["blocks"]:
        if block["type"] == "input":
            element = block["element"]
            text: Any = values.get(block["block_id"], element.get("initial_value"))
            state[block["block_id"]] = {element["action_id"]: {"type": element["type"], "value": text or None}}
    shown = {name: value for name, value in view.items() if not name.startswith("_")}
    return _head(world, "view_submission", person) | {
        "trigger_id": world.slack.trigger(person),
        "view": shown | {"state": {"values": state}},
        "response_urls": [],
    }


def _head(world: World, kind: str, person: str) -> Json:
    knobs = world.slack.knobs
    return {
        "type": kind,
        "user": {"id": person, "username": person.lower(), "team_id": knobs.team_id},
        "api_app_id": knobs.app_id,
        "token": "deprecated",
        "team": {"id": knobs.team_id, "domain": "sandbox"},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _follow(store: SlackStore, view: Json, answer: Json) -> None:
    """What the form does with its answer: it closes, stays with errors, or shows something else."""
    told: Any = None
    if answer["body"]:
        try:
            told = json.loads(answer["body"])
        except ValueError:
            told = None
    if answer["status"] == 200 and not answer["body"]:
        store.views.pop(view["id"], None)
    elif isinstance(told, dict) and told.get("response_action") == "update":
        store.change_view(view, told["view"])
    answer["told"] = told
