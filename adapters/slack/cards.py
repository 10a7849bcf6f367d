"""A request for approval as Block Kit: what, to whom, why, the deal, the time left, and the buttons.

What anybody can write into a CRM record or say in a call stands in plain_text, where Slack looks for no mentions,
links or formatting; only texts of our own are mrkdwn. Limits as in blocks.py.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, Final

from adapters.slack.blocks import MAX_FIELD, MAX_FIELDS, MAX_HEADER, MAX_TEXT, MAX_URL, cut, escape, one_line, shown
from revpipe.messenger import Card

Block = dict[str, Any]
APPROVE: Final = "revpipe.approve"
EDIT: Final = "revpipe.edit"
REJECT: Final = "revpipe.reject"
OPEN: Final = "revpipe.open"
SHORT: Final = 120
"""A value up to this long stands beside others; a longer one, or one of several lines, has a section of its own."""
MAX_SECTIONS: Final = 8
MAX_FALLBACK: Final = 500
MAX_OUTCOME: Final = 1000
MAX_LINE: Final = 300
TOO_LONG: Final = "It is too long to be shown whole here: read it in the console, and approve or edit it there."


def text_of(card: Card) -> str:
    """What notifications show."""
    said = f"{_what(card)}: {card.outcome}" if card.outcome else f"To approve: {_what(card)}"
    return escape(cut(one_line(said), MAX_FALLBACK))


def blocks_of(card: Card) -> list[Block]:
    """The message; without buttons once there is an outcome."""
    head = _what(card) if card.outcome else f"To approve: {_what(card)}"
    blocks: list[Block] = [{"type": "header", "text": plain(one_line(head), MAX_HEADER)}]
    if card.outcome:
        blocks.append({"type": "section", "text": plain(one_line(card.outcome), MAX_OUTCOME)})
    blocks += _params(card.params)
    if card.why.strip():
        blocks.append({"type": "section", "text": plain(f"Why: {card.why.strip()}", MAX_TEXT)})
    blocks.append({"type": "context", "elements": _context(card)})
    if card.outcome is None and not _whole(card.params):
        blocks.append({"type": "section", "text": plain(TOO_LONG, MAX_TEXT)})
    buttons = list(_buttons(card))
    if buttons:
        blocks.append({"type": "actions", "block_id": f"revpipe:{card.key}", "elements": buttons})
    return blocks


def plain(text: str, limit: int) -> Block:
    """A text in which nothing comes alive."""
    return {"type": "plain_text", "text": cut(text, limit) or "–", "emoji": False}


def value_of(action_id: uuid.UUID, version: int) -> str:
    """What a button and a form carry: the action and the version that was seen."""
    return f"{action_id}:{version}"


def kind_of(card: Card) -> str:
    """An action's type in words."""
    return card.type.replace("_", " ")


def _what(card: Card) -> str:
    return f"{kind_of(card)} for {one_line(card.deal_name) or _deal(card)}"


def _deal(card: Card) -> str:
    return f"deal {card.deal_id}" if card.deal_id else "no deal"


def _params(params: Mapping[str, Any]) -> Iterator[Block]:
    """The action's params: short ones side by side, texts below."""
    short, long = _told(params)
    if short:
        yield {"type": "section", "fields": [plain(text, MAX_FIELD) for text in short[:MAX_FIELDS]]}
    for text in long[:MAX_SECTIONS]:
        yield {"type": "section", "text": plain(text, MAX_TEXT)}


def _whole(params: Mapping[str, Any]) -> bool:
    """Whether the message shows every param to its end: nobody says yes to what they can't read."""
    short, long = _told(params)
    fits = len(short) <= MAX_FIELDS and len(long) <= MAX_SECTIONS
    bounds = [(text, MAX_FIELD) for text in short] + [(text, MAX_TEXT) for text in long]
    return fits and all(cut(text, most) == text for text, most in bounds)


def _told(params: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The params with their names: the short ones, and the long ones."""
    short = [f"{_label(name)}\n{shown(value)}" for name, value in params.items() if _is_short(value)]
    return short, [f"{_label(name)}\n{_long(value)}" for name, value in params.items() if not _is_short(value)]


def _is_short(value: Any) -> bool:
    return not isinstance(value, Mapping) and "\n" not in str(value) and len(str(value)) <= SHORT


def _long(value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{one_line(name)}: {shown(one)}" for name, one in value.items())
    return str(value)


def _label(name: object) -> str:
    return one_line(str(name).replace("_", " ")).capitalize()


def _context(card: Card) -> list[Block]:
    lines = [f"by {card.source}, {_deal(card)}, version {card.version}"]
    if card.risk:
        lines[0] += f", risk {card.risk}"
    if card.edited:
        lines.append(f"edited by {card.edited}")
    elements: list[Block] = [plain(one_line(line), MAX_LINE) for line in lines]
    if card.outcome is None:
        fallback = f"{card.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        at = f"<!date^{int(card.expires_at.timestamp())}^{{date_short_pretty}}, {{time}}|{fallback}>"
        elements.append({"type": "mrkdwn", "text": f"decide until {at}; {escape(card.at_expiry)}", "verbatim": True})
        elements.append(plain(f"asked: {one_line(card.asked)}", MAX_LINE))
    return elements


def _buttons(card: Card) -> Iterator[Block]:
    value = value_of(card.action_id, card.version)
    if card.outcome is None:
        if _whole(card.params):
            yield {**_button(APPROVE, "Approve", value), "style": "primary"}
            yield _button(EDIT, "Edit", value)
        yield {**_button(REJECT, "Reject", value), "style": "danger"}
    if card.page and len(card.page) <= MAX_URL:
        # A button with an address sends a press as well, which has to be answered.
        yield {**_button(OPEN, "Open", value), "url": card.page}


def _button(action: str, label: str, value: str) -> Block:
    return {"type": "button", "action_id": action, "text": plain(label, 75), "value": value}
