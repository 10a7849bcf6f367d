"""OpenAI's Chat Completions. Shapes: openai/openai-openapi, `CreateChatCompletionResponse` and `ErrorResponse`."""

import json
from typing import Any, Final

from flask import Blueprint, Response, g, jsonify, request

from adapters.sandbox.model_mind import NONSENSE, WRONG, think
from adapters.sandbox.model_store import Json
from adapters.sandbox.world import here

NO_SENTENCE: Final = "I'm sorry, I can't assist with that request."


def blueprint() -> Blueprint:
    """The API, to be registered under a prefix."""
    blue = Blueprint("openai", __name__)
    blue.add_url_rule("/v1/chat/completions", view_func=completions, methods=["POST"])
    return blue


def error_body(status: int, message: str) -> Json:
    """An error as the API writes it."""
    kinds = {429: ("rate_limit_error", "rate_limit_exceeded"), 401: ("invalid_request_error", "invalid_api_key")}
    kind, code = kinds.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def completions() -> Response:
    """One answer, in JSON if a schema is given."""
    store = here().models["openai"]
    asked: Any = request.get_json(force=True, silent=True)
    fault = _fault_in(asked, store.knobs.api_key)
    if fault is not None:
        status, said = fault
        return _answer(error_body(status, said), status)
    store.asked.append(asked)
    system = "\n".join(one["content"] for one in asked["messages"] if one["role"] in ("system", "developer"))
    user = "\n".join(one["content"] for one in asked["messages"] if one["role"] == "user")
    kind = getattr(g.get("fault"), "kind", "")
    return _answer(_completion(asked, kind, think(store.knobs, system, user), len(system) + len(user)), 200)


def _fault_in(asked: Any, key: str) -> tuple[int, str] | None:
    if request.headers.get("Authorization") != f"Bearer {key}":
        return 401, "Incorrect API key provided."
    if not isinstance(asked, dict) or not isinstance(asked.get("model"), str):
        return 400, "you must provide a model parameter"
    if not asked.get("messages"):
        return 400, "Missing required parameter: 'messages'."
    if asked["model"].startswith("no-such"):
        return 404, f"The model `{asked['model']}` does not exist or you do not have access to it."
    wanted = asked.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        named = wanted.get("json_schema") or {}
        if named.get("strict") and not strict(named.get("schema") or {}):
            return 400, f"Invalid schema for response_format '{named.get('name')}'"
    return None


def strict(schema: Any) -> bool:
    """Whether every object names all its properties as required and allows no others (guide, Structured outputs)."""
    if isinstance(schema, list):
        return all(strict(one) for one in schema)
    if not isinstance(schema, dict):
        return True
    if "properties" in schema:
        whole = set(schema.get("required") or ()) == set(schema["properties"])
        if not whole or schema.get("additionalProperties") is not False:
            return False
        return all(strict(one) for one in schema["properties"].values())
    return all(strict(one) for one in schema.values())


def _completion(asked: Json, kind: str, thought: Any, read: int) -> Json:
    message: Json = {"role": "assistant", "content": json.dumps(thought), "refusal": None, "annotations": []}
    reason = "stop"
    if kind == "refusal":
        message |= {"content": None, "refusal": NO_SENTENCE}
    elif kind == "truncation":
        message["content"], reason = '{"actions": [{"type": "create_ta', "length"
    elif kind == "nonsense":
        message["content"] = NONSENSE
    elif kind == "wrong_schema":
        message["content"] = json.dumps(WRONG)
    written = len(str(message["content"])) // 4 + 1
    prompt = read // 4 + 1
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return {
        "id": f"chatcmpl-sandbox{len(here().models['openai'].asked):06d}",
        "object": "chat.completion",
        "created": here().now() // 1000,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": usage,
        "service_tier": "default",
    }


def _answer(body: Json, status: int) -> Response:
    response = jsonify(body)
    response.status_code = status
    response.headers["x-request-id"] = "req_sandbox"
    return response
