"""What the parameters of HubSpot's actions must look like, checked before anything is sent."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from adapters.hubspot.client import is_id
from adapters.hubspot.tasks import MAX_BODY, body_html
from revpipe.errors import Permanent

OBJECT_TYPES: Final = {"deal": "deals", "account": "companies", "contact": "contacts"}
MAX_DUE_DAYS: Final = 3650
_PROPERTY: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
Check = Callable[[Any], str | None]
"""What is wrong with a value, None if nothing is."""


def check(type: str, params: Mapping[str, Any]) -> None:
    """Raise Permanent with a sentence naming the parameter that is missing, unknown or ill-typed."""
    if type not in _CHECKS:
        raise Permanent(f"HubSpot can't carry out actions of type {type!r}; it knows {', '.join(_CHECKS)}")
    checks, required = _CHECKS[type], _REQUIRED[type]
    for name in params:
        if name not in checks:
            raise Permanent(f"{type} has no parameter {name!r}; it has {', '.join(checks)}")
    for name in required:
        if params.get(name) is None:
            raise Permanent(f"{type} needs the parameter {name!r}")
    for name, value in params.items():
        fault = checks[name](value)
        if fault:
            raise Permanent(f"the parameter {name!r} of {type} {fault}")


def _subject(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a text that is not empty"


def _body(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        return "must be a text"
    return f"is too long: {MAX_BODY} characters as HTML is the most" if len(body_html(value or "")) > MAX_BODY else None


def _days(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_DUE_DAYS:
        return f"must be a whole number of days from 0 to {MAX_DUE_DAYS}"
    return None


def _one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"must be one of {', '.join(words)}"


def _id(value: Any) -> str | None:
    return None if isinstance(value, str) and is_id(value) else "must be the text of a HubSpot id (digits)"


def _id_or_none(value: Any) -> str | None:
    return None if value is None else _id(value)


def _properties(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not value:
        return "must map at least one property name to its new value"
    for name, text in value.items():
        if not isinstance(name, str) or not _PROPERTY.fullmatch(name):
            return f"has {name!r}, which can't be the internal name of a property"
        if not isinstance(text, str):
            return f"must hold texts only, but {name!r} is a {text.__class__.__name__}"
    return None


_CHECKS: Final[Mapping[str, Mapping[str, Check]]] = {
    "create_task": {
        "subject": _subject,
        "body": _body,
        "due_in_days": _days,
        "priority": _one_of("LOW", "MEDIUM", "HIGH"),
        "task_type": _one_of("TODO", "CALL", "EMAIL"),
        "owner_id": _id_or_none,
        "deal_id": _id_or_none,
        "account_id": _id_or_none,
        "contact_id": _id_or_none,
    },
    "update_crm": {"object": _one_of(*OBJECT_TYPES), "id": _id, "properties": _properties},
}
_REQUIRED: Final = {"create_task": ("subject",), "update_crm": ("object", "id", "properties")}
