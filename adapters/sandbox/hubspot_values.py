"""What HubSpot makes of a written property value, and why it refuses one."""

from collections.abc import Mapping
from typing import Any

from adapters.sandbox import hubspot_schema
from adapters.sandbox.times import iso, parse_ms

Problem = tuple[str, str, str]
_CODES = {"number": "INVALID_INTEGER", "datetime": "INVALID_DATE", "bool": "INVALID_OPTION"}


def problems_of(kinds: Mapping[str, str], values: Mapping[str, Any], stages: frozenset[str]) -> list[Problem]:
    """Why these values can't be written; empty if they can."""
    found = []
    for name, value in values.items():
        problem = _problem(kinds, name, value, stages)
        if problem:
            found.append((name, *problem))
    return found


def stored(kinds: Mapping[str, str], name: str, value: Any) -> str:
    """The text that is kept and answered: times become ISO 8601, None becomes empty."""
    if value is None or value == "":
        return ""
    if kinds.get(name) == "datetime":
        return iso(parse_ms(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def in_event(kinds: Mapping[str, str], name: str, value: str) -> str:
    """The same value in a webhook event: times as epoch milliseconds, still text."""
    return str(parse_ms(value)) if value and kinds.get(name) == "datetime" else value


def _problem(kinds: Mapping[str, str], name: str, value: Any, stages: frozenset[str]) -> tuple[str, str] | None:
    if name not in kinds:
        return "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
    if name in hubspot_schema.READ_ONLY:
        return "READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.'
    if value is None or value == "":
        return None
    options = stages if name == "dealstage" else hubspot_schema.OPTIONS.get(name)
    if options is not None and str(value) not in options:
        return "INVALID_OPTION", f"{value} was not one of the allowed options: {sorted(options)}"
    if name == "email" and "@" not in str(value):
        return "INVALID_EMAIL", f"Email address {value} is invalid"
    if not _fits(kinds[name], value):
        return _CODES[kinds[name]], f"{value} was not a valid {kinds[name]}."
    return None


def _fits(kind: str, value: Any) -> bool:
    try:
        if kind == "number":
            float(value)
        elif kind == "datetime":
            parse_ms(value)
    except (TypeError, ValueError):
        return False
    return kind != "bool" or str(value).lower() in ("true", "false")
