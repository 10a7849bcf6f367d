"""Do the names in a condition exist? Fields, roots and functions, with a guess at what was meant."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from revpipe.rules.cel_text import Token
from revpipe.rules.fields import FIELDS, RECORD_KEYS
from revpipe.rules.helpers import HELPERS

FUNCTIONS: Final = ("size", "int", "double", "string", "timestamp", "duration", *HELPERS)
MACROS: Final = ("exists", "all", "exists_one", "filter", "map")
METHODS: Final = (
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "size",
    "getFullYear",
    "getMonth",
    "getDayOfMonth",
    "getDayOfWeek",
    "getHours",
    *MACROS,
)
_WORDS: Final = ("true", "false", "null", "in")


def guess(word: str, known: Iterable[str]) -> str:
    """A "did you mean" for `word`, or the empty text if nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.67)
    return f"; did you mean {near[0]}?" if near else ""


def field_fault(root: str, name: str) -> str | None:
    """What is wrong with `root.name`, None if the vocabulary has it."""
    if root not in FIELDS:
        return f"unknown name {root}{guess(root, FIELDS)} (there are {', '.join(FIELDS)})"
    if name not in FIELDS[root]:
        meant = guess(name, FIELDS[root]).replace("mean ", f"mean {root}.")
        return f"unknown field {root}.{name}{meant or '; docs/rules.md lists the fields'}"
    return None


def name_faults(items: Sequence[Token]) -> list[str]:
    """One sentence for each name that means nothing, in the order of the text."""
    bound = _bound(items)
    shadows = sorted(bound & {*FIELDS})
    faults = [f"{name} is one of the facts; choose another name for the loop variable" for name in shadows]
    for index, item in enumerate(items):
        before = items[index - 1].text if index else ""
        after = items[index + 1].text if len(items) > index + 1 else ""
        if item.text == "." and not (index and (items[index - 1].kind in ("name", "string") or before in ")]}")):
            faults.append("a dot needs a name before it")
        elif item.kind == "name" and before == ".":
            faults.extend(_member_faults(items, index, after, bound))
        elif item.kind == "name":
            faults.extend(_head_faults(items, index, after, bound))
    return faults


def _bound(items: Sequence[Token]) -> set[str]:
    """Loop variables: the `t` of `list.exists(t, …)`."""
    return {
        items[index + 2].text
        for index in range(1, len(items) - 3)
        if items[index].text in MACROS and items[index - 1].text == "." and items[index + 3].text == ","
    }


def _head_faults(items: Sequence[Token], index: int, after: str, bound: set[str]) -> list[str]:
    word = items[index].text
    if after == "(":
        return [] if word in FUNCTIONS else [_unknown_function(word)]
    if word in _WORDS or word in bound or word == "now":
        return []
    if word not in FIELDS:
        return [field_fault(word, "") or ""]
    if after != "." or len(items) < index + 3 or items[index + 2].kind != "name":
        return [f"{word} alone is no value; name a field of it, such as {word}.{next(iter(FIELDS[word]))}"]
    fault = field_fault(word, items[index + 2].text)
    return [fault] if fault else []


def _member_faults(items: Sequence[Token], index: int, after: str, bound: set[str]) -> list[str]:
    word = items[index].text
    owner = items[index - 2] if index >= 2 else items[index]
    starts_path = owner.kind == "name" and (index < 3 or items[index - 3].text != ".")
    if starts_path and owner.text != "now" and owner.text not in bound:
        return []  # the head has been judged together with this field
    if after == "(":
        return [] if word in METHODS else [_unknown_function(word)]
    if starts_path and owner.text in bound and word in RECORD_KEYS:
        return []
    return [f"{owner.text}.{word}: {owner.text} has no such field"]


def _unknown_function(word: str) -> str:
    known = sorted({*FUNCTIONS, *METHODS})
    if word == "has":
        return "has() is always true here, since every field is there; write deal.amount != null"
    return f"unknown function {word}(){guess(word, known) or '; there are ' + ', '.join(known)}"
