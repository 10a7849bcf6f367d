"""Conditions of rules: CEL terms that are true, false or not known, and say which values made them so.

A value that is absent makes a comparison neither true nor false. CEL itself would raise, or call
`null != 'x'` true; so the and, or and not of a condition are joined here, over three values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cel

from revpipe.rules import cel_text
from revpipe.rules.cel_text import Token
from revpipe.rules.fields import FIELDS

Facts = Mapping[str, Any]
MAX_TERMS: Final = 20
NULL_TESTS: Final = ("==", "!=")


@dataclass(frozen=True, slots=True)
class Term:
    """One `&&`-part of a condition with its answer: True, False, or None for "not known"."""

    expression: str
    held: bool | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompiledTerm:
    """A part of a condition, ready to be asked of many facts."""

    expression: str
    fields: tuple[tuple[str, str], ...]
    test: Callable[[Facts], bool | None]

    def ask(self, facts: Facts) -> Term:
        """Never raises: what can't be evaluated is not known."""
        values = {f"{root}.{name}" if name else root: lookup(facts, root, name) for root, name in self.fields}
        return Term(self.expression, self.test(facts), values)


def terms(condition: str) -> tuple[CompiledTerm, ...]:
    """The parts of `condition` at its top-level `&&`. Raises ValueError where it is no CEL; checks no names."""
    cel.compile(condition)
    items = cel_text.unwrapped(cel_text.tokens(condition))
    whole = len(cel_text.split(items, "||")) > 1 or any(item.text == "?" for item in items)
    parts = [items] if whole else cel_text.split(items, "&&")
    return tuple(
        CompiledTerm(cel_text.source(condition, part), fields_in(part), _test(condition, part)) for part in parts
    )


def leaves(condition: str, items: Sequence[Token]) -> list[Sequence[Token]]:
    """The parts that hold no further and, or and not at their top level."""
    items = cel_text.unwrapped(items)
    for operator in ("||", "&&"):
        parts = cel_text.split(items, operator)
        if len(parts) > 1:
            return [leaf for part in parts for leaf in leaves(condition, part)]
    inner = cel_text.negated(items)
    return leaves(condition, inner) if inner is not None else [items]


def fields_in(items: Sequence[Token]) -> tuple[tuple[str, str], ...]:
    """The (root, field) pairs that `items` name, each once; `now` has an empty field."""
    found: dict[tuple[str, str], None] = {}
    for index, item in enumerate(items):
        is_head = item.kind == "name" and (index == 0 or items[index - 1].text != ".")
        if is_head and item.text == "now":
            found[("now", "")] = None
        elif is_head and item.text in FIELDS and len(items) > index + 2 and items[index + 1].text == ".":
            found[(item.text, items[index + 2].text)] = None
    return tuple(found)


def lookup(facts: Facts, root: str, name: str) -> Any:
    """One value out of the facts, None if it is absent."""
    fields = facts.get(root)
    if not name:
        return fields
    return fields.get(name) if isinstance(fields, Mapping) else None


def null_test(items: Sequence[Token]) -> tuple[str, str, bool] | None:
    """(root, field, whether absent is wanted) if `items` are just `root.field == null` or the like."""
    words = [item.text for item in items]
    if len(words) == 5 and words[0] == "null" and words[1] in NULL_TESTS:
        words = [*words[2:], words[1], "null"]
    if len(words) != 5 or words[1] != "." or words[3] not in NULL_TESTS or words[4] != "null":
        return None
    return words[0], words[2], words[3] == "=="


def _test(condition: str, items: Sequence[Token]) -> Callable[[Facts], bool | None]:
    items = cel_text.unwrapped(items)
    for operator, join in (("||", _any), ("&&", _all)):
        parts = cel_text.split(items, operator)
        if len(parts) > 1:
            return join([_test(condition, part) for part in parts])
    inner = cel_text.negated(items)
    if inner is not None:
        return _not(_test(condition, inner))
    return _leaf(condition, items)


def _leaf(condition: str, items: Sequence[Token]) -> Callable[[Facts], bool | None]:
    tested = null_test(items)
    if tested:
        root, name, absent = tested
        return lambda facts: (lookup(facts, root, name) is None) == absent
    program = cel.compile(cel_text.source(condition, items))
    fields = fields_in(items)

    def evaluate(facts: Facts) -> bool | None:
        names: dict[str, Any] = {}
        for root, name in fields:
            value = lookup(facts, root, name)
            if value is None:
                return None
            if name:
                names.setdefault(root, {})[name] = value
            else:
                names[root] = value
        try:
            answer = program.execute(names)
        except Exception:  # noqa: BLE001  CEL raises many built-in errors; all of them mean: can't be told
            return None
        return answer if isinstance(answer, bool) else None

    return evaluate


def _any(tests: Sequence[Callable[[Facts], bool | None]]) -> Callable[[Facts], bool | None]:
    def evaluate(facts: Facts) -> bool | None:
        answers = [test(facts) for test in tests]
        return True if True in answers else None if None in answers else False

    return evaluate


def _all(tests: Sequence[Callable[[Facts], bool | None]]) -> Callable[[Facts], bool | None]:
    def evaluate(facts: Facts) -> bool | None:
        answers = [test(facts) for test in tests]
        return False if False in answers else None if None in answers else True

    return evaluate


def _not(test: Callable[[Facts], bool | None]) -> Callable[[Facts], bool | None]:
    def evaluate(facts: Facts) -> bool | None:
        answer = test(facts)
        return None if answer is None else not answer

    return evaluate
