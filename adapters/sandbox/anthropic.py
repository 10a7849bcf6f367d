"""Anthropic's Messages API. Shapes: docs.claude.com, "Messages" and "Errors"; the SDK's types."""

import json
from typing import Any, Final

from flask import Blueprint, Response, g, jsonify, request

from adapters.sandbox.model_mind import NONSENSE, WRONG, think
from adapters.sandbox.model_store import Json
from adapters.sandbox.world import here

VERSION: Final = "2023-06-01"
ERRORS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def blueprint() -> Blueprint:
    """The API, to be registered under a prefix."""
    blue = Blueprint("anthropic", __name__)
    blue.add_url_rule("/v1/messages", view_func=messages, methods=["POST"])
    return blue


def error_body(status: int, message: str) -> Json:
    """An error as the API writes it."""
    error = {"type": ERRORS.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": "req_sandbox"}


def messages() -> Response:
    """One answer; a tool that must be called is called."""
    store = here().models["anthropic"]
    asked: Any = request.get_json(force=True, silent=True)
    fault = _fault_in(asked, store.knobs.api_key)
    if fault is not None:
        status, said = fault
        return _answer(error_body(status, said), status)
    store.asked.append(asked)
    user = "\n".join(_text(one["content"]) for one in asked["messages"])
    kind = getattr(g.get("fault"), "kind", "")
    system = _text(asked.get("system") or "")
    return _answer(_message(asked, kind, think(store.knobs, system, user), len(system) + len(user)), 200)


def _fault_in(asked: Any, key: str) -> tuple[int, str] | None:
    if request.headers.get("x-api-key") != key:
        return 401, "invalid x-api-key"
    if request.headers.get("anthropic-version") != VERSION:
        return 400, "anthropic-version: header is required"
    if not isinstance(asked, dict) or not isinstance(asked.get("model"), str):
        return 400, "model: Field required"
    if not isinstance(asked.get("max_tokens"), int) or asked["max_tokens"] < 1:
        return 400, "max_tokens: Field required"
    if not asked.get("messages") or asked["messages"][0].get("role") != "user":
        return 400, "messages: first message must use the user role"
    choice = asked.get("tool_choice") or {}
    tools = {tool.get("name"): tool for tool in asked.get("tools") or ()}
    if choice.get("type") == "tool" and choice.get("name") not in tools:
        return 400, f"tool_choice.name: Tool '{choice.get('name')}' not found in provided tools"
    if any((tool.get("input_schema") or {}).get("type") != "object" for tool in tools.values()):
        return 400, "tools.0.input_schema.type: Input should be 'object'"
    if asked["model"].startswith("no-such"):
        return 404, f"model: {asked['model']}"
    return None


def _message(asked: Json, kind: str, thought: Any, read: int) -> Json:
    tool = (asked.get("tool_choice") or {}).get("name")
    content, reason = _content(kind, thought, tool)
    usage = {
        "input_tokens": read // 4 + 1,
        "output_tokens": asked["max_tokens"] if kind == "truncation" else len(json.dumps(thought)) // 4 + 1,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "service_tier": "standard",
    }
    number = len(here().models["anthropic"].asked)
    return {
        "id": f"msg_sandbox{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _content(kind: str, thought: Any, tool: str | None) -> tuple[list[Json], str]:
    """The blocks and why the model stopped."""
    if kind == "refusal":
        return [], "refusal"
    if kind == "truncation":
        # A tool's input that was cut off arrives as far as its JSON could be closed.
        return [_use(tool, {"actions": []})] if tool else [_words('{"actions": [{"ty')], "max_tokens"
    if kind == "nonsense":
        return [_words(NONSENSE)], "end_turn"
    told = WRONG if kind == "wrong_schema" else thought
    return ([_use(tool, told)], "tool_use") if tool else ([_words(json.dumps(told))], "end_turn")


def _use(tool: str | None, given: Any) -> Json:
    return {"type": "tool_use", "id": "toolu_sandbox", "name": tool, "input": given}


def _words(text: str) -> Json:
    return {"type": "text", "text": text}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in content)


def _answer(body: Json, status: int) -> Response:
    response = jsonify(body)
    response.status_code = status
    response.headers["request-id"] = "req_sandbox"
    return response
