"""Running the tests that stand beside the rules, and saying what came instead of what was expected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from revpipe.rules.book import PlannedAction, RuleBook, RuleOutcome
from revpipe.rules.rule import ExpectedAction, RuleTest
from revpipe.rules.template_filters import clean


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule's test that did not come out: which, where in the file, and what came instead."""

    rule_id: str
    test: str
    line: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {"rule": self.rule_id, "test": self.test, "line": self.line, "text": self.text}


def run(book: RuleBook) -> tuple[int, list[Failure]]:
    """How many tests there are, and those that fail. Each rule is asked by itself, also one in shadow."""
    count = 0
    failures: list[Failure] = []
    for rule in book.rules:
        for test in rule.tests:
            count += 1
            outcome, actions = book.alone(rule, test.given)
            text = _judged(test, outcome, actions)
            if text:
                failures.append(Failure(rule.id, test.name, test.line, text))
    return count, failures


def _judged(test: RuleTest, outcome: RuleOutcome, actions: Sequence[PlannedAction]) -> str:
    """What came instead; the empty text if all is as expected."""
    if test.expected is None:
        return f"expected not to fire, but it fired and wanted {_types(actions)}" if outcome.fired else ""
    if not outcome.fired:
        return f"expected {_types(test.expected)}, but it did not fire: {_why_not(outcome, test.given)}"
    wanted = sorted(test.expected, key=lambda one: one.type)
    came = sorted(_first_of_each(actions), key=lambda one: one.type)
    if [one.type for one in wanted] != [one.type for one in came]:
        more = "" if len(came) == len(actions) else "; of several of one type only the first is carried out"
        return f"expected {_types(test.expected)}, but it wanted {_types(actions)}{more}"
    return "; ".join(fault for pair in zip(wanted, came, strict=True) for fault in _differences(*pair))


def _first_of_each(actions: Sequence[PlannedAction]) -> list[PlannedAction]:
    """What is carried out: a rule has one open action of each type, so the others would be suppressed."""
    found: dict[str, PlannedAction] = {}
    for one in actions:
        found.setdefault(one.type, one)
    return list(found.values())


def _differences(wanted: ExpectedAction, came: PlannedAction) -> Iterator[str]:
    for name in ("priority", "approval"):
        expected, found = getattr(wanted, name), getattr(came, name)
        if expected is not None and expected != found:
            yield f"expected {wanted.type} with {name} {expected}, but it is {found or 'left to the policy'}"
    yield from _unlike(wanted.params, came.params, wanted.type)


def _unlike(wanted: Mapping[str, Any], came: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, expected in wanted.items():
        if name not in came:
            yield f"{where}: expected {name} {expected!r}, but there is no such param"
        elif isinstance(expected, Mapping) and isinstance(came[name], Mapping):
            yield from _unlike(expected, came[name], f"{where}: {name}")
        elif expected != came[name]:
            yield f"{where}: expected {name} {expected!r}, but it is {came[name]!r}"


def _types(actions: Sequence[ExpectedAction] | Sequence[PlannedAction]) -> str:
    return ", ".join(one.type for one in actions) or "nothing"


def _why_not(outcome: RuleOutcome, given: Mapping[str, Any]) -> str:
    if not outcome.listened:
        return f"it does not listen to {given['signal']['event']}"
    term = next(one for one in outcome.terms if one.held is not True)
    values = ", ".join(f"{name} = {value!r}" for name, value in term.values.items())
    is_what = "false" if term.held is False else "not known"
    return f"{' '.join(clean(term.expression).split())} is {is_what}" + (f" ({values})" if values else "")
