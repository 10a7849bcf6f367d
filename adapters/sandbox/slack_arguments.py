"""What callers of Slack's Web API send: arguments in three forms, and the content of a message."""

import json
from typing import Any

from flask import request

from adapters.sandbox import slack_blocks
from adapters.sandbox.slack_store import Json

MOST_TEXT = 40_000


class ApiError(Exception):
    """A refusal by its code; `detail` is shown in response_metadata.messages."""

    def __init__(self, code: str, detail: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def arguments() -> Json:
    """The arguments of query, form and JSON together; `blocks` and `metadata` may be JSON in a text."""
    given: Json = request.args.to_dict() | request.form.to_dict()
    if request.is_json and request.get_data():
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise ApiError("invalid_json")
        given |= body
    for name in ("blocks", "metadata"):
        if isinstance(given.get(name), str):
            try:
                given[name] = json.loads(given[name])
            except ValueError:
                raise ApiError("invalid_blocks" if name == "blocks" else "invalid_metadata_format") from None
    return given


def content_of(given: Json) -> Json:
    """Text, blocks and metadata of a message. Raises ApiError with the code Slack gives for each fault."""
    text, blocks, metadata = given.get("text"), given.get("blocks"), given.get("metadata")
    if not text and not blocks:
        raise ApiError("no_text")
    if len(str(text or "")) > MOST_TEXT:
        raise ApiError("msg_too_long")
    content: Json = {"text": str(text or "")}
    if blocks is not None:
        fault = slack_blocks.fault_in(blocks)
        if fault:
            raise ApiError("invalid_blocks", fault)
        content["blocks"] = blocks
    if metadata is not None:
        if not isinstance(metadata, dict) or not {"event_type", "event_payload"} <= set(metadata):
            raise ApiError("invalid_metadata_schema")
        content["metadata"] = metadata
    return content


def is_true(value: Any) -> bool:
    """A flag, which a form can only send as text."""
    return value in (True, 1, "true", "True", "1")
