"""Cutting the text of a CEL expression into tokens and at its top-level operators."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

_STRING: Final = r"""[rR]'[^'\n]*'|[rR]"[^"\n]*"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*\""""
_TOKEN: Final = re.compile(
    rf"(?P<space>\s+)|(?P<comment>//[^\n]*)|(?P<string>{_STRING})"
    r"|(?P<number>(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?[uU]?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])"
)
COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_BINARY: Final = COMPARISONS | {"+", "-", "*", "/", "%"}


class Token(NamedTuple):
    """One word or sign of an expression; `kind` is string, number, name or op."""

    kind: str
    text: str
    start: int
    end: int


def tokens(expression: str) -> list[Token]:
    """The tokens of an expression. Raises ValueError for signs and comments that rules may not hold."""
    found: list[Token] = []
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"can't read {expression[at : at + 12]!r}")
        if match.lastgroup == "comment":
            raise ValueError("a comment (//) can't stand inside a condition; write it as a YAML comment with #")
        if match.lastgroup not in (None, "space"):
            found.append(Token(str(match.lastgroup), match.group(), match.start(), match.end()))
        at = match.end()
    return found


def split(items: Sequence[Token], operator: str) -> list[Sequence[Token]]:
    """`items` cut at each `operator` that stands outside all brackets."""
    cuts = [-1, *(index for index, item in _outside(items) if item.text == operator), len(items)]
    return [items[start + 1 : end] for start, end in pairwise(cuts)]


def unwrapped(items: Sequence[Token]) -> Sequence[Token]:
    """`items` without the brackets that enclose all of them."""
    while len(items) > 2 and items[0].text == "(" and _closing(items) == len(items) - 1:
        items = items[1:-1]
    return items


def negated(items: Sequence[Token]) -> Sequence[Token] | None:
    """What follows a leading `!` that governs all of `items`; None if there is no such."""
    if len(items) < 2 or items[0].text != "!":
        return None
    if any(item.text in _BINARY and item.kind != "string" for _, item in _outside(items[1:])):
        return None
    return items[1:]


def comparison(items: Sequence[Token]) -> list[int]:
    """Where the comparisons stand that are outside all brackets."""
    return [index for index, item in _outside(items) if item.text in COMPARISONS and item.kind != "string"]


def source(expression: str, items: Sequence[Token]) -> str:
    """The text that `items` were cut from."""
    return expression[items[0].start : items[-1].end] if items else ""


def _outside(items: Sequence[Token]) -> list[tuple[int, Token]]:
    depth = 0
    outside: list[tuple[int, Token]] = []
    for index, item in enumerate(items):
        if item.kind == "op" and item.text in ")]}":
            depth -= 1
        if depth == 0 and not (item.kind == "op" and item.text in "([{)]}"):
            outside.append((index, item))
        if item.kind == "op" and item.text in "([{":
            depth += 1
    return outside


def _closing(items: Sequence[Token]) -> int:
    depth = 0
    for index, item in enumerate(items):
        if item.kind == "op":
            depth += item.text in "([{"
            depth -= item.text in ")]}"
        if depth == 0:
            return index
    return -1
