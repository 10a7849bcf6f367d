"""Gong's REST API, as far as calls go: Basic auth, cursor paging, 3 calls a second."""

import base64
import binascii
import uuid
from typing import Any

from flask import Blueprint, Response, jsonify, request

from adapters.sandbox.gong_store import Json
from adapters.sandbox.times import parse_ms
from adapters.sandbox.world import here

# Parts of `content` by the name that asks for them (Gong API reference, calls/extensive).
_CONTENT = frozenset({"structure", "topics", "trackers", "pointsOfInterest", "brief", "outline", "highlights"}) | {
    "keyPoints",
    "callOutcome",
}


class ApiError(Exception):
    """An answer outside 2xx; Gong gives sentences, no codes."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = list(errors)


def blueprint() -> Blueprint:
    """The API, to be registered under a prefix."""
    blue = Blueprint("gong", __name__)
    blue.add_url_rule("/v2/calls/extensive", view_func=extensive, methods=["POST"])
    blue.add_url_rule("/v2/calls/transcript", view_func=transcript, methods=["POST"])
    blue.add_url_rule("/v2/calls/<id>", view_func=call, methods=["GET"])
    blue.before_request(_admit)
    blue.register_error_handler(ApiError, _answer)
    return blue


def extensive() -> Response:
    """POST a filter; the answer holds only the blocks that contentSelector asked for."""
    body = _body()
    selector = body.get("contentSelector") or {}
    page, records = _page(body)
    calls = [_selected(one, selector) for one in page]
    return jsonify({"requestId": _request_id(), "records": records, "calls": calls})


def transcript() -> Response:
    """POST a filter; sentence times are milliseconds, and speakers are ids without names."""
    page, records = _page(_body())
    store = here().gong
    spoken = [
        {"callId": one["metaData"]["id"], "transcript": store.transcripts.get(one["metaData"]["id"], [])}
        for one in page
    ]
    return jsonify({"requestId": _request_id(), "records": records, "callTranscripts": spoken})


def call(id: str) -> Response:
    """GET the metadata of one call, and nothing else of it."""
    found = here().gong.find(id)
    if found is None:
        raise ApiError(404, f"No call found corresponding to the provided id: {id}")
    return jsonify({"requestId": _request_id(), "call": found["metaData"]})


def _admit() -> None:
    world, knobs = here(), here().gong.knobs
    try:
        scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
        given = base64.b64decode(coded, validate=True).decode() if scheme == "Basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        given = ""
    if given != f"{knobs.access_key}:{knobs.access_key_secret}":
        raise ApiError(401, "Authorization failed: access key or secret is wrong")
    if world.pace("gong").admit(world.now(), knobs.rate_limit, knobs.rate_seconds) is None:
        raise ApiError(429, "API rate limit exceeded")


def _answer(error: ApiError) -> tuple[Response, int]:
    response = jsonify({"requestId": _request_id(), "errors": error.errors})
    if error.status == 429:
        response.headers["Retry-After"] = "1"
    return response, error.status


def _body() -> Json:
    value = request.get_json(force=True, silent=True)
    if not isinstance(value, dict) or not isinstance(value.get("filter"), dict):
        raise ApiError(400, "filter must be provided")
    selector = value.get("contentSelector") or {}
    if selector.get("contextTiming") and selector.get("context") != "Extended":
        raise ApiError(400, "contextTiming is allowed only with an Extended context")
    for name in ("fromDateTime", "toDateTime"):
        try:
            parse_ms(value["filter"].get(name) or 0)
        except ValueError:
            raise ApiError(400, f"{name} is not a valid ISO-8601 time") from None
    return value


def _page(body: Json) -> tuple[list[Json], Json]:
    store = here().gong
    found = store.chosen(body["filter"])
    if not found:
        raise ApiError(404, "No calls found corresponding to the provided filters")
    start, size = _start(body.get("cursor")), store.knobs.page_size
    page = found[start : start + size]
    records: Json = {"totalRecords": len(found), "currentPageSize": len(page), "currentPageNumber": start // size}
    if start + size < len(found):
        records["cursor"] = base64.urlsafe_b64encode(f"from:{start + size}".encode()).decode()
    return page, records


def _start(cursor: Any) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(str(cursor)).decode().removeprefix("from:"))
    except ValueError:
        raise ApiError(400, "cursor is not valid") from None


def _selected(one: Json, selector: Json) -> Json:
    exposed = selector.get("exposedFields") or {}
    answer: Json = {"metaData": one["metaData"]}
    depth = selector.get("context") or "None"
    if depth != "None" and "context" in one:
        answer["context"] = [_context(entry, depth) for entry in one["context"]]
    if exposed.get("parties") and "parties" in one:
        answer["parties"] = [_party(party, depth) for party in one["parties"]]
    asked = exposed.get("content") or {}
    content = {name: part for name, part in (one.get("content") or {}).items() if asked.get(name) and name in _CONTENT}
    if "trackers" in content and not asked.get("trackerOccurrences"):
        content["trackers"] = [_without_occurrences(tracker) for tracker in content["trackers"]]
    if content:
        answer["content"] = content
    if exposed.get("interaction") and "interaction" in one:
        answer["interaction"] = one["interaction"]
    return answer


def _context(entry: Json, depth: str) -> Json:
    if depth == "Extended":
        return entry
    bare = [{name: one[name] for name in ("objectType", "objectId") if name in one} for one in entry["objects"]]
    return {"system": entry["system"], "objects": bare}


def _party(party: Json, depth: str) -> Json:
    known = {name: value for name, value in party.items() if name != "context"}
    if depth != "None" and "context" in party:
        known["context"] = [_context(entry, depth) for entry in party["context"]]
    return known


def _without_occurrences(tracker: Json) -> Json:
    phrases = [{k: v for k, v in phrase.items() if k != "occurrences"} for phrase in tracker.get("phrases", [])]
    bare = {name: value for name, value in tracker.items() if name not in ("occurrences", "phrases")}
    return bare | ({"phrases": phrases} if phrases else {})


def _request_id() -> str:
    return uuid.uuid4().hex[:19]
