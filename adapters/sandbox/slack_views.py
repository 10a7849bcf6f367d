"""Modals of the simulated Slack: opened by the trigger of a press, which holds for three seconds and once."""

from typing import Any

from adapters.sandbox.slack_arguments import ApiError
from adapters.sandbox.slack_blocks import fault_in
from adapters.sandbox.slack_store import Json
from adapters.sandbox.world import here

TRIGGER_MS = 3000
MOST_BLOCKS = 100


def open_view(given: Json) -> Json:
    """views.open."""
    store = here().slack
    trigger = str(given.get("trigger_id") or "")
    pressed = store.triggers.pop(trigger, None)
    if pressed is None:
        raise ApiError("exchanged_trigger_id" if trigger in store.spent else "invalid_trigger_id")
    store.spent.add(trigger)
    if here().now() - pressed[1] > TRIGGER_MS:
        raise ApiError("expired_trigger_id")
    view = checked(given.get("view"))
    kept = store.keep_view(view, pressed[0])
    return {"view": kept}


def update_view(given: Json) -> Json:
    """views.update by id; with a hash only if nobody was faster."""
    store = here().slack
    had = store.views.get(str(given.get("view_id")))
    if had is None:
        raise ApiError("not_found")
    if given.get("hash") and given["hash"] != had["hash"]:
        raise ApiError("hash_conflict")
    store.change_view(had, checked(given.get("view")))
    return {"view": had}


def checked(view: Any) -> Json:
    """The view, if Slack would take it. Raises ApiError."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        raise ApiError("invalid_arguments", "view must be a modal [json-pointer:/view]")
    blocks = view.get("blocks")
    fault = _text_fault(view, "title") or _text_fault(view, "submit") or _text_fault(view, "close")
    if isinstance(blocks, list) and len(blocks) > MOST_BLOCKS:
        fault = fault or "no more than 100 items allowed [json-pointer:/view/blocks]"
    for start in range(0, len(blocks or ()), 50):
        fault = fault or fault_in((blocks or [])[start : start + 50])
    inputs = [block for block in blocks or () if block.get("type") == "input"]
    if inputs and "submit" not in view:
        fault = fault or "submit is required when an input is in blocks"
    if len(str(view.get("private_metadata") or "")) > 3000:
        fault = fault or "private_metadata is too long"
    for block in inputs:
        fault = fault or _input_fault(block)
    if fault or not blocks:
        raise ApiError("invalid_arguments", fault or "blocks are missing")
    return view


def _text_fault(view: Json, name: str) -> str | None:
    text = view.get(name)
    if text is None:
        return "title is missing" if name == "title" else None
    said = text.get("text") if isinstance(text, dict) and text.get("type") == "plain_text" else None
    return None if isinstance(said, str) and 0 < len(said) <= 24 else f"{name} must have 1 to 24 characters"


def _input_fault(block: Json) -> str | None:
    element, label = block.get("element") or {}, block.get("label") or {}
    if not 0 < len(str(label.get("text") or "")) <= 2000:
        return "an input needs a label"
    most = element.get("max_length") or 3000
    if not 0 < most <= 3000 or len(str(element.get("initial_value") or "")) > most:
        return "initial_value is longer than max_length"
    return None
