"""What an edit changed, word by word, as pieces that a page can mark."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from revpipe.web.console.fields import fields

WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")
LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
MOST: Final = 3_000
"""Words, or else lines, that are compared one by one: the time grows with their square."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text; `kind` is kept, gone or new."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one field of an action's params."""

    label: str
    pieces: tuple[Piece, ...]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The fields in which two versions of an action's params differ, in their order."""
    old, new = ({one.name: one for one in fields(params)} for params in (before, after))
    found = []
    for name in {**old, **new}:
        was, now = (side[name].text if name in side else "" for side in (old, new))
        if was != now:
            found.append(Change((new.get(name) or old[name]).label, tuple(pieces(was, now))))
    return found


def pieces(before: str, after: str) -> list[Piece]:
    """`after` against `before`, by words, by lines where there are very many, as a whole where even lines are."""
    for unit in (WORD, LINE):
        old, new = unit.findall(before), unit.findall(after)
        if max(len(old), len(new)) <= MOST:
            return _matched(old, new)
    return _some(("gone", before), ("new", after))


def _matched(old: list[str], new: list[str]) -> list[Piece]:
    found: list[Piece] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            found += _some(("kept", "".join(old[a:b])))
        else:
            found += _some(("gone", "".join(old[a:b])), ("new", "".join(new[c:d])))
    return found


def _some(*told: tuple[str, str]) -> list[Piece]:
    return [Piece(kind, text) for kind, text in told if text]
