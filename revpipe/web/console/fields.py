"""An action's params as the fields of a form, and what was typed as params again."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

LABELS: Final = {
    "to": "To",
    "subject": "Subject",
    "title": "Title",
    "body": "Text",
    "text": "Text",
    "due_in_days": "Due in days",
    "task_type": "Kind of task",
    "owner_id": "Owner",
    "deal_id": "Deal",
    "account_id": "Account",
    "contact_id": "Contact",
}
ORDER: Final = ("to", "channel", "object", "id", "subject", "title", "body", "text")
FIXED: Final = frozenset({"id", "object", "deal_id", "account_id", "contact_id"})
"""Which record an action is about is for the rule to say, not for an edit."""
LONG: Final = frozenset({"body", "text"})
SHOWN: Final = 20_000
"""Characters of one field that a page shows."""


@dataclass(frozen=True, slots=True)
class Field:
    """One param, or one entry of a param that is a mapping: then `name` is `param.entry`."""

    name: str
    label: str
    text: str
    kind: str
    """How it is typed: line, long, number, fixed or fixed long."""

    @property
    def cut(self) -> bool:
        """Whether a page shows only a part of it."""
        return len(self.text) > SHOWN

    @property
    def shown(self) -> str:
        """The text as far as a page shows it."""
        rest = len(self.text) - SHOWN
        return self.text if rest <= 0 else f"{self.text[:SHOWN]}… ({rest:,} more characters)"


class BadNumber(ValueError):
    """What was typed into a field of numbers is none; says which field."""


def fields(params: Mapping[str, Any], editable: Collection[str] | None = None) -> list[Field]:
    """The params as fields: whom and what first, the long text then, the rest by name.

    Params that are not among the `editable` are fixed; None: all but those that name a record may be edited.
    """
    found = sorted(_fields(params), key=_place)
    if editable is None:
        return found
    return [one if one.name.partition(".")[0] in editable else replace(one, kind=_fixed(one)) for one in found]


def typed(
    params: Mapping[str, Any], form: Mapping[str, str], editable: Collection[str] | None = None
) -> dict[str, Any]:
    """The params that the form changes, each with its whole new value. Raises BadNumber."""
    changed: dict[str, Any] = {}
    for field in fields(params, editable):
        if field.kind.startswith("fixed") or field.name not in form:
            continue
        given = form[field.name].replace("\r\n", "\n")
        if given == field.text.replace("\r\n", "\n"):
            continue
        name, _, entry = field.name.partition(".")
        value = _value(field, given)
        changed[name] = {**changed.get(name, params[name]), entry: value} if entry else value
    return changed


def _fixed(field: Field) -> str:
    return "fixed long" if field.kind == "long" else "fixed"


def _fields(params: Mapping[str, Any]) -> Iterator[Field]:
    for name, value in params.items():
        if isinstance(value, Mapping) and value and name not in FIXED:
            for entry, inner in value.items():
                yield _field(f"{name}.{entry}", str(entry), inner)
        else:
            yield _field(name, LABELS.get(name, name.replace("_", " ").capitalize()), value)


def _field(name: str, label: str, value: Any) -> Field:
    if isinstance(value, str):
        kind = "fixed" if name in FIXED else "long" if name in LONG or "\n" in value or len(value) > 200 else "line"
        return Field(name, label, value, kind)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Field(name, label, str(value), "number")
    if value is None:
        return Field(name, label, "", "fixed" if name in FIXED else "line")
    return Field(name, label, json.dumps(value, ensure_ascii=False, default=str), "fixed")


def _place(field: Field) -> tuple[int, str]:
    return (ORDER.index(field.name) if field.name in ORDER else len(ORDER), field.name)


def _value(field: Field, given: str) -> Any:
    if field.kind != "number":
        return given
    try:
        return float(given) if "." in given else int(given)
    except ValueError as error:
        raise BadNumber(f"{field.label} must be a number, not {given[:40]!r}") from error
