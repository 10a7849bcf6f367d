"""The forms that a press opens (modals): to edit and approve, and to reject with a reason."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from adapters.slack.blocks import one_line
from adapters.slack.cards import kind_of, plain, value_of
from revpipe.messenger import Card

View = dict[str, Any]
SEND_EDIT: Final = "revpipe.send_edit"
SEND_REJECT: Final = "revpipe.send_reject"
VALUE: Final = "value"
"""The action_id of every input."""
PARAM: Final = "param:"
"""Begins the block_id of an input that holds one of the action's params."""
REASON: Final = "reason"
LONGEST: Final = 3000
"""What an input of Slack holds, counted in UTF-16 units."""
MAX_INPUTS: Final = 20
MAX_REASON: Final = 500
LINE: Final = 150
MAX_NAME: Final = 200


def edit_form(card: Card) -> View:
    """Every text of the action in an input of its own; what is too long for one is edited in the console."""
    blocks: list[dict[str, Any]] = [{"type": "section", "text": plain(f"Why: {one_line(card.why)}", LONGEST)}]
    params = dict(_texts(card))
    inputs = list(_inputs(params))
    left = [name for name, value in params.items() if not _fits(value)]
    # To send it is to approve all of it, so all of it must be there to be read.
    blocks += [] if left else inputs[:MAX_INPUTS]
    if left or not inputs:
        told = f"Too long for this form: {', '.join(left)}. " if left else "Nothing of it is a text to edit. "
        where = f"Open {card.page} instead." if card.page else "Edit it in the console instead."
        blocks.append({"type": "section", "text": plain(told + where, LONGEST)})
    return _view(SEND_EDIT, card, "Edit and approve", "Approve", blocks)


def reject_form(card: Card) -> View:
    """One input for the reason."""
    asked = {
        "type": "input",
        "block_id": REASON,
        "optional": True,
        "label": plain("Why not?", LINE),
        "element": {
            "type": "plain_text_input",
            "action_id": VALUE,
            "multiline": True,
            "max_length": MAX_REASON,
        },
    }
    what = {"type": "section", "text": plain(f"{kind_of(card)} for {one_line(card.deal_name)}", LINE)}
    return _view(SEND_REJECT, card, "Reject", "Reject", [what, asked])


def told(text: str) -> View:
    """A view that only says something."""
    return {
        "type": "modal",
        "title": plain("revpipe", 24),
        "close": plain("Close", 24),
        "blocks": [{"type": "section", "text": plain(text, LONGEST)}],
    }


def texts_in(values: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a form that was sent, by param, or `reason`; an input left empty is an empty text."""
    found: dict[str, str] = {}
    for block, actions in values.items():
        element = actions.get(VALUE) if isinstance(actions, Mapping) else None
        if isinstance(element, Mapping):
            found[str(block).removeprefix(PARAM)] = str(element.get("value") or "")
    return found


def _texts(card: Card) -> Iterator[tuple[str, str]]:
    """What may be changed, as texts; a mapping's entries one by one, as `name.key`."""
    for name in card.editable:
        value = card.params.get(name)
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", "" if one is None else str(one)) for key, one in value.items())
        elif value is None or isinstance(value, str):
            yield name, value or ""


def _inputs(params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, value in params.items():
        if _fits(value) and len(name) < MAX_NAME:
            element = {
                "type": "plain_text_input",
                "action_id": VALUE,
                "multiline": "\n" in value or len(value) > LINE or name in ("body", "text", "notes"),
                "max_length": LONGEST,
            }
            yield {
                "type": "input",
                "block_id": f"{PARAM}{name}",
                # An empty one is for revpipe to refuse, in its own words.
                "optional": True,
                "label": plain(name.replace("_", " ").capitalize(), LINE),
                "element": element | ({"initial_value": value} if value else {}),
            }


def _fits(value: str) -> bool:
    return len(value.encode("utf-16-le", "replace")) <= 2 * LONGEST


def _view(callback: str, card: Card, title: str, submit: str, blocks: list[dict[str, Any]]) -> View:
    view: View = {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": value_of(card.action_id, card.version),
        "title": plain(title, 24),
        "close": plain("Cancel", 24),
        "blocks": blocks,
    }
    if any(block["type"] == "input" for block in blocks):
        view["submit"] = plain(submit, 24)
    return view
