"""Conditions of rules: CEL terms that are true, false or not known, and say which values made them so.

A value that is absent makes a comparison neither true nor false. CEL itself would raise, or call
`null != 'x'` true; so the and, or and not of a condition are joined here, over three values.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from revpipe.rules import cel_engine, cel_text, helpers
from revpipe.rules.cel_text import Token
from revpipe.rules.fields import FIELDS
from revpipe.rules.plain_terms import ASK_CEL, plain, timed

Facts = Mapping[str, Any]
MAX_TERMS: Final = 20
NULL_TESTS: Final = ("==", "!=")
# It warns of each call of a helper that fails, which here just means "not known", and quotes the facts of customers.
logging.getLogger("cel").setLevel(logging.CRITICAL)


class Term(NamedTuple):
    """One `&&`-part of a condition with its answer: True, False, or None for "not known"."""

    expression: str
    held: bool | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompiledTerm:
    """A part of a condition, ready to be asked of many facts."""

    expression: str
    labels: tuple[tuple[str, str, str], ...]
    test: Callable[[Facts], bool | None]

    def ask(self, facts: Facts) -> Term:
        """Never raises: what can't be evaluated is not known."""
        values = {label: lookup(facts, root, name) for label, root, name in self.labels}
        return Term(self.expression, self.test(facts), values)


def terms(condition: str) -> tuple[CompiledTerm, ...]:
    """The parts of `condition` at its top-level `&&`. Raises ValueError where it is no CEL; checks no names."""
    cel_engine.compile(condition)
    items = cel_text.unwrapped(cel_text.tokens(condition))
    whole = len(cel_text.split(items, "||")) > 1 or any(item.text == "?" for item in items)
    parts = [items] if whole else cel_text.split(items, "&&")
    return tuple(
        CompiledTerm(cel_text.source(condition, part), _labels(part), _test(condition, part)) for part in parts
    )


def _labels(items: Sequence[Token]) -> tuple[tuple[str, str, str], ...]:
    """The fields that `items` name as people write them, each with its root and name."""
    return tuple((f"{root}.{name}" if name else root, root, name) for root, name in fields_in(items))


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
    # Whether it is a mapping is asked thousands of times a second; this is far faster to tell.
    get = getattr(fields, "get", None)
    return get(name) if get is not None else None


def null_test(items: Sequence[Token]) -> tuple[str, str, bool] | None:
    """(root, field, whether absent is wanted) if `items` are just `root.field == null` or the like."""
    words = [item.text for item in items]
    if len(words) == 5 and words[0] == "null" and words[1] in NULL_TESTS:
        words = [*words[2:], words[1], "null"]
    if len(words) != 5 or words[1] != "." or words[3] not in NULL_TESTS or words[4] != "null":
        return None
    return words[0], words[2], words[3] == "=="


def program(condition: str, items: Sequence[Token]) -> Callable[[Mapping[str, Any]], Any]:
    """What asks CEL about `items` of a condition, given the names they use. Raises ValueError where it is no CEL."""
    compiled = cel_engine.compile(helpers.with_now(condition, items))
    if not helpers.called(items):
        return cast(Callable[[Mapping[str, Any]], Any], compiled.execute)
    functions = {name: helpers.HELPERS[name] for name in helpers.called(items)}
    return lambda names: compiled.execute(cel_engine.Context(variables=dict(names), functions=functions))


def tester(condition: str, items: Sequence[Token]) -> Callable[[Facts], bool | None]:
    """What answers `items`, a part of a condition, over three values. Raises ValueError where it is no CEL."""
    return _test(condition, items)


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
    simple = plain(items)
    if simple is None:
        return _timed(items) or _asked(condition, items)
    root, name, quick = simple
    asked = _asked(condition, items)

    def answer(facts: Facts) -> bool | None:
        value = lookup(facts, root, name)
        if value is None:
            return None
        told = quick(value)
        return asked(facts) if told is ASK_CEL else told

    return answer


def _timed(items: Sequence[Token]) -> Callable[[Facts], bool | None] | None:
    simple = timed(items)
    if simple is None:
        return None
    root, name, quick = simple

    def answer(facts: Facts) -> bool | None:
        value, now = lookup(facts, root, name), facts.get("now")
        if value is None or now is None:
            return None
        try:
            return quick(value, now)
        except (ValueError, OverflowError):
            return None

    return answer


def _asked(condition: str, items: Sequence[Token]) -> Callable[[Facts], bool | None]:
    """A part that is put to CEL."""
    run = program(condition, items)
    fields = fields_in(items)
    if not helpers.called(items).isdisjoint(helpers.TIME_HELPERS):
        fields = tuple(dict.fromkeys((*fields, ("now", ""))))

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
            answer = run(names)
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
