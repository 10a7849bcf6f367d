"""The commonest conditions answered without a call of CEL, some ten times as fast; what is not as plain goes to CEL.

`root.field < 3`, `root.field == 'x'`, `root.field`, `'x' in root.field`, `root.field in ['x', 'y']`,
`size(root.field) > 0`, `mentions(root.field, 'x')`, `within(root.field, '7d')`, `days_since(root.field) > 3`.
A test holds the two to the same answers.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from revpipe.rules import helpers
from revpipe.rules.cel_text import Token

Plain = Callable[[Any], bool | None]
"""From a field's value, which is there, to the answer; None leaves it to CEL."""
Timed = Callable[[Any, Any], bool]
"""From a field's value and the time of the decision to the answer; raises ValueError for what is no time."""
ASK_CEL: Final = None
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Beyond this a double can't hold every whole number, and the two may differ in what is equal.
_EXACT: Final = 2**53


def plain(items: Sequence[Token]) -> tuple[str, str, Plain] | None:
    """The (root, field, answer) of a condition that is plain enough, None if it is not."""
    words = [item.text for item in items]
    if len(items) == 3 and words[1] == ".":
        return words[0], words[2], _flag
    if len(items) >= 5 and words[1] == "." and words[3] in _OPERATORS:
        return _found(words[0], words[2], _comparison(words[3], items[4:]))
    if len(items) in (5, 6) and words[-2] == "." and words[-4] in _OPERATORS:
        return _found(words[-3], words[-1], _comparison(_TURNED[words[-4]], items[:-4]))
    if len(items) == 5 and words[1] == "in" and words[3] == "." and items[0].kind == "string":
        return _found(words[2], words[4], _contains(items[0]))
    if len(items) >= 6 and words[1] == "." and words[3] == "in":
        return _found(words[0], words[2], _among(items[4:]))
    if len(items) >= 8 and words[:2] == ["size", "("] and words[3] == "." and words[5] == ")":
        return _found(words[2], words[4], _size(words[6], items[7:]))
    if len(items) == 8 and words[0] == "mentions" and words[3] == "." and words[5] == "," and words[7] == ")":
        return _found(words[2], words[4], _mentions(items[6]))
    return None


def timed(items: Sequence[Token]) -> tuple[str, str, Timed] | None:
    """The same for a condition that needs to know the time of the decision."""
    words = [item.text for item in items]
    if len(items) < 8 or words[0] not in helpers.TIME_HELPERS or words[1] != "(" or words[3] != ".":
        return None
    helper = helpers.TIME_HELPERS[words[0]]
    if words[0] in helpers.LENGTH_HELPERS:
        known, wanted = _literal([items[6]])
        good = len(items) == 8 and words[5] == "," and words[7] == ")" and known
        return (words[2], words[4], lambda at, now: helper(now, at, wanted)) if good else None
    known, wanted = _literal(items[7:])
    if words[5] != ")" or words[6] not in _OPERATORS or not known or type(wanted) is not int:
        return None
    compare = _OPERATORS[words[6]]
    return words[2], words[4], lambda at, now: compare(helper(now, at), wanted)


def _found(root: str, name: str, answer: Plain | None) -> tuple[str, str, Plain] | None:
    return None if answer is None else (root, name, answer)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else ASK_CEL


def _comparison(sign: str, items: Sequence[Token]) -> Plain | None:
    known, wanted = _literal(items)
    if not known or (isinstance(wanted, bool) and sign not in ("==", "!=")):
        return None
    compare = _OPERATORS[sign]
    if isinstance(wanted, bool | str):
        kind = type(wanted)
        return lambda value: compare(value, wanted) if type(value) is kind else ASK_CEL
    return lambda value: compare(value, wanted) if _exact(value) else ASK_CEL


def _contains(item: Token) -> Plain | None:
    known, wanted = _literal([item])
    return (lambda value: wanted in value if isinstance(value, list) else ASK_CEL) if known else None


def _among(items: Sequence[Token]) -> Plain | None:
    if items[0].text != "[" or items[-1].text != "]":
        return None
    literals = [_literal([item]) for item in items[1:-1:2]]
    if any(item.text != "," for item in items[2:-1:2]) or not all(known for known, _ in literals):
        return None
    wanted = {value for _, value in literals}
    if not all(isinstance(value, str) for value in wanted):
        return None
    return lambda value: value in wanted if isinstance(value, str) else ASK_CEL


def _size(sign: str, items: Sequence[Token]) -> Plain | None:
    known, wanted = _literal(items)
    if sign not in _OPERATORS or not known or type(wanted) is not int:
        return None
    compare = _OPERATORS[sign]
    return lambda value: compare(len(value), wanted) if isinstance(value, list) else ASK_CEL


def _mentions(item: Token) -> Plain | None:
    known, wanted = _literal([item])
    if not known or not isinstance(wanted, str) or not wanted:
        return None
    return lambda value: helpers.mentions(value, wanted) if isinstance(value, str | list) else ASK_CEL


def _exact(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and -_EXACT < value < _EXACT


def _literal(items: Sequence[Token]) -> tuple[bool, Any]:
    """Whether `items` are one value that is written out, and the value."""
    negative = len(items) == 2 and items[0].text == "-" and items[1].kind == "number"
    if len(items) != 1 and not negative:
        return False, None
    word = items[-1]
    if word.kind == "string":
        # A prefix or a backslash means more than the letters between the quotes.
        return word.text[0] in "'\"" and "\\" not in word.text, word.text[1:-1]
    if word.kind == "name":
        return word.text in ("true", "false"), word.text == "true"
    if word.kind != "number" or word.text[-1] in "uU":
        return False, None
    number: int | float = int(word.text) if word.text.isdecimal() else float(word.text)
    return abs(number) < _EXACT, -number if negative else number
