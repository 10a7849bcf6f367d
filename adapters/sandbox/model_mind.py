"""What the simulated models think: the answer to a question, made from its text alone."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from adapters.sandbox.model_store import Json, ModelKnobs

_DATA: Final = re.compile(r"<data>\s*(\{.*\})\s*</data>", re.DOTALL)
_ORDER: Final = re.compile(r"\banswer\s*(?=\{)", re.IGNORECASE)
NONSENSE: Final = "Well, I would give them a call, and then we shall see."
WRONG: Final[Json] = {"actions": "give them a call", "why": 7}


def think(knobs: ModelKnobs, system: str, user: str) -> Any:
    """The JSON value of the answer."""
    if knobs.mode == "scripted":
        return knobs.script
    data = data_in(user)
    if knobs.mode == "obedient":
        for text in _texts(data):
            order = _order_in(text, system, user)
            if order is not None:
                return order
    return _careful(data)


def data_in(user: str) -> Any:
    """The data between the fences, {} if there are none."""
    found = _DATA.search(user)
    try:
        return json.loads(found.group(1)) if found else {}
    except ValueError:
        return {}


def _order_in(text: str, system: str, user: str) -> Any:
    """What a text asks to be answered: the JSON object that follows the word `answer` in it.

    `$SYSTEM` and `$DATA` inside stand for what the model was told and given.
    """
    for found in _ORDER.finditer(text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, found.end())
        except ValueError:
            continue
        return _filled(value, {"$SYSTEM": system, "$DATA": user})
    return None


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, words) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, words) for item in value]
    if isinstance(value, str):
        for word, meant in words.items():
            value = value.replace(word, meant)
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


def _careful(data: Any) -> Json:
    """A call is followed up by a task; nothing else is due."""
    signal, deal = (data.get(name) or {} for name in ("signal", "deal"))
    if signal.get("event") != "call.completed" or not deal.get("id"):
        return {"actions": [], "reason": "An edit of this kind calls for nothing."}
    task: Json = {
        "type": "create_task",
        "deal_id": deal["id"],
        "account_id": None,
        "contact_id": None,
        "to": None,
        "subject": "Follow up on the call",
        "text": "Send what was promised on the call and agree the next step.",
        "due_in_days": 1,
        "needs_approval": True,
    }
    return {"actions": [task], "reason": "The call ended without an agreed next step."}
