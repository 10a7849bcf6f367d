"""Slack's limits on message blocks; a message over any of them is refused whole (docs, block kit)."""

from typing import Any, Final

_MOST_BLOCKS = 50
_TYPES: Final = frozenset({"actions", "context", "divider", "file", "header", "image", "input", "markdown"}) | {
    "rich_text",
    "section",
    "video",
}


def fault_in(blocks: Any) -> str | None:
    """What is wrong with a list of blocks, in a sentence like Slack's; None if nothing is."""
    if not isinstance(blocks, list):
        return "must be an array [json-pointer:/blocks]"
    if len(blocks) > _MOST_BLOCKS:
        return f"no more than {_MOST_BLOCKS} items allowed [json-pointer:/blocks]"
    ids = [block.get("block_id") for block in blocks if isinstance(block, dict) and block.get("block_id")]
    if len(ids) != len(set(ids)):
        return "block_id is not unique [json-pointer:/blocks]"
    for place, block in enumerate(blocks):
        fault = _block_fault(block)
        if fault:
            return f"{fault} [json-pointer:/blocks/{place}]"
    return None


def _block_fault(block: Any) -> str | None:
    if not isinstance(block, dict) or block.get("type") not in _TYPES:
        return f"unsupported type: {block.get('type') if isinstance(block, dict) else block}"
    if len(str(block.get("block_id", ""))) > 255:
        return "block_id must be less than 256 characters"
    if block["type"] == "header":
        return _text_fault(block.get("text"), 150, plain=True)
    if block["type"] == "section":
        return _section_fault(block)
    if block["type"] == "context":
        elements = block.get("elements")
        return None if isinstance(elements, list) and 0 < len(elements) <= 10 else "1 to 10 elements are needed"
    if block["type"] == "actions":
        return _actions_fault(block.get("elements"))
    if block["type"] == "markdown" and not 0 < len(str(block.get("text", ""))) <= 12_000:
        return "text must have 1 to 12000 characters"
    return None


def _section_fault(block: dict[str, Any]) -> str | None:
    fields = block.get("fields")
    if fields is None and "text" not in block:
        return "a section needs text or fields"
    if fields is not None:
        if not isinstance(fields, list) or not 0 < len(fields) <= 10:
            return "1 to 10 fields are needed"
        for field in fields:
            fault = _text_fault(field, 2000)
            if fault:
                return fault
    return _text_fault(block["text"], 3000) if "text" in block else None


def _actions_fault(elements: Any) -> str | None:
    if not isinstance(elements, list) or not 0 < len(elements) <= 25:
        return "1 to 25 elements are needed"
    ids = [element.get("action_id") for element in elements if isinstance(element, dict)]
    if len([id for id in ids if id]) != len({id for id in ids if id}):
        return "action_id is not unique"
    for element in elements:
        fault = _button_fault(element) if isinstance(element, dict) else "an element must be an object"
        if fault:
            return fault
    return None


def _button_fault(element: dict[str, Any]) -> str | None:
    if element.get("type") != "button":
        return None if element.get("type") else "an element needs a type"
    limits = (("value", 2000), ("url", 3000), ("action_id", 255))
    for name, most in limits:
        if len(str(element.get(name) or "")) > most:
            return f"{name} must be less than {most + 1} characters"
    if element.get("style") not in (None, "primary", "danger"):
        return "style must be primary or danger"
    return _text_fault(element.get("text"), 75, plain=True)


def _text_fault(text: Any, most: int, *, plain: bool = False) -> str | None:
    if not isinstance(text, dict) or text.get("type") not in ("plain_text", "mrkdwn"):
        return "a text object is missing"
    if plain and text["type"] != "plain_text":
        return "only plain_text is allowed here"
    if not isinstance(text.get("text"), str) or not 0 < len(text["text"]) <= most:
        return f"must have 1 to {most} characters"
    return None
