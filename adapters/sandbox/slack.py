"""Slack's Web API: errors come as 200 with `ok` false, but for the rate limit."""

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from adapters.sandbox import slack_people, slack_views
from adapters.sandbox.slack_arguments import ApiError, arguments, content_of, is_true
from adapters.sandbox.slack_store import Channel, Json
from adapters.sandbox.world import here


def blueprint() -> Blueprint:
    """The API, to be registered under a prefix; every method takes GET and POST, as the real one does."""
    blue = Blueprint("slack", __name__)
    blue.add_url_rule("/<method>", view_func=answer, methods=["GET", "POST"])
    return blue


def answer(method: str) -> tuple[Response, int]:
    """Call one method with its arguments from the query, a form or JSON."""
    try:
        given = arguments()
        _authorise(given)
        if method not in METHODS:
            raise ApiError("unknown_method")
        return jsonify({"ok": True} | METHODS[method](given)), 200
    except _TooFast:
        response = jsonify({"ok": False, "error": "ratelimited"})
        response.headers["Retry-After"] = "1"
        return response, 429
    except ApiError as error:
        body: Json = {"ok": False, "error": error.code}
        if error.detail:
            body |= {"errors": [error.detail], "response_metadata": {"messages": [f"[ERROR] {error.detail}"]}}
        return jsonify(body), 200


def post_message(given: Json) -> Json:
    """chat.postMessage: posts, every time it is called; there is no key against repeats."""
    world = here()
    channel = _channel(given)
    content = content_of(given)
    limit = world.slack.knobs.messages_per_second
    if world.pace(f"slack.{channel.id}").admit(world.now(), limit, 1.0) is None:
        raise _TooFast
    if given.get("thread_ts"):
        content["thread_ts"] = str(given["thread_ts"])
        if is_true(given.get("reply_broadcast")):
            content["subtype"] = "thread_broadcast"
    message = world.slack.post(channel, content)
    world.effects.record("slack", "message", f"{channel.id}:{message['ts']}", {"channel": channel.id} | content)
    return {"channel": channel.id, "ts": message["ts"], "message": _shown(message, metadata=True)}


def update(given: Json) -> Json:
    """chat.update: replaces text and blocks of a message of our own; takes a channel's id, not its name."""
    world = here()
    channel = world.slack.channels.get(str(given.get("channel")))
    if channel is None:
        raise ApiError("channel_not_found")
    found = next((one for one in channel.messages if one["ts"] == str(given.get("ts"))), None)
    if found is None:
        raise ApiError("message_not_found")
    if found["user"] != world.slack.knobs.bot_user_id:
        raise ApiError("cant_update_message")
    content = content_of(given)
    found.setdefault("_before", []).append({name: found.get(name) for name in ("text", "blocks")})
    found |= content
    found["edited"] = {"user": found["user"], "ts": world.slack.next_ts()}
    world.effects.record("slack", "update", f"{channel.id}:{found['ts']}", {"channel": channel.id} | content)
    return {
        "channel": channel.id,
        "ts": found["ts"],
        "text": found["text"],
        "message": _shown(found, metadata=True),
    }


def history(given: Json) -> Json:
    """conversations.history: newest first; a message's metadata is whole only with include_all_metadata."""
    channel = here().slack.channels.get(str(given.get("channel")))
    if channel is None:
        raise ApiError("channel_not_found")
    if not channel.is_member:
        raise ApiError("not_in_channel")
    found = [one for one in here().slack.history(channel) if _in_channel(one) and _within(one["ts"], given)]
    start = int(given.get("cursor") or 0)
    limit = min(int(given.get("limit") or 100), 999)
    whole = is_true(given.get("include_all_metadata"))
    reached = start + limit
    reply: Json = {
        "messages": [_shown(one, metadata=whole) for one in found[start:reached]],
        "has_more": reached < len(found),
    }
    if reached < len(found):
        reply["response_metadata"] = {"next_cursor": str(reached)}
    return reply


def replies(given: Json) -> Json:
    """conversations.replies: a thread, its first message in front."""
    channel = here().slack.channels.get(str(given.get("channel")))
    if channel is None:
        raise ApiError("channel_not_found")
    root = str(given.get("ts"))
    thread = [one for one in reversed(here().slack.history(channel)) if root in (one["ts"], one.get("thread_ts"))]
    if not thread:
        raise ApiError("thread_not_found")
    whole = is_true(given.get("include_all_metadata"))
    # The first message comes whatever the time.
    found = [one for one in thread if one["ts"] == root or _within(one["ts"], given)]
    return {"messages": [_shown(one, metadata=whole) for one in found], "has_more": False}


def post_ephemeral(given: Json) -> Json:
    """chat.postEphemeral: seen by one user only, and in no history."""
    world = here()
    channel, user, content = _channel(given), str(given.get("user") or ""), content_of(given)
    if user not in world.slack.users.values():
        raise ApiError("user_not_in_channel")
    ts = world.slack.next_ts()
    world.slack.whispers.append({"channel": channel.id, "user": user, "ts": ts} | content)
    return {"message_ts": ts}


def auth_test(given: Json) -> Json:
    """auth.test: who the token is."""
    knobs = here().slack.knobs
    who = {"user": "revpipe", "user_id": knobs.bot_user_id, "bot_id": "B0REVPIPE"}
    return who | {"url": "https://sandbox.slack.com/", "team": "Sandbox", "team_id": knobs.team_id}


METHODS: Final[dict[str, Callable[[Json], Json]]] = {
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.postEphemeral": post_ephemeral,
    "conversations.history": history,
    "conversations.replies": replies,
    "conversations.open": slack_people.open_direct,
    "users.lookupByEmail": slack_people.lookup,
    "users.info": slack_people.info,
    "views.open": slack_views.open_view,
    "views.update": slack_views.update_view,
    "auth.test": auth_test,
}


class _TooFast(Exception):
    """More messages to one channel than Slack takes."""


def _authorise(given: Json) -> None:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ") or given.get("token")
    if not token:
        raise ApiError("not_authed")
    if token != here().slack.knobs.token:
        raise ApiError("invalid_auth")


def _channel(given: Json) -> Channel:
    channel = here().slack.find(str(given.get("channel", "")))
    if channel is None:
        raise ApiError("channel_not_found")
    if channel.is_archived:
        raise ApiError("is_archived")
    if not channel.is_member:
        raise ApiError("not_in_channel")
    return channel


def _shown(message: Json, *, metadata: bool) -> Json:
    shown = {name: value for name, value in message.items() if not name.startswith("_")}
    if "metadata" in shown and not metadata:
        shown["metadata"] = {"event_type": shown["metadata"]["event_type"]}
    return shown


def _in_channel(message: Json) -> bool:
    """Replies stand in their thread only, unless they were sent to the channel as well."""
    return "thread_ts" not in message or message.get("subtype") == "thread_broadcast"


def _within(ts: str, given: Json) -> bool:
    at, equal = _micros(ts), is_true(given.get("inclusive"))
    oldest, latest = given.get("oldest"), given.get("latest")
    after = not oldest or at > _micros(oldest) or (equal and at == _micros(oldest))
    before = not latest or at < _micros(latest) or (equal and at == _micros(latest))
    return after and before


def _micros(ts: Any) -> int:
    seconds, _, rest = str(ts).partition(".")
    try:
        return int(seconds) * 1_000_000 + int((rest + "000000")[:6])
    except ValueError:
        raise ApiError("invalid_ts_oldest") from None
