"""What is wrong with a condition, found when rules are loaded and not when a deal is waiting."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, Final

from revpipe.rules import cel_engine, cel_text, samples
from revpipe.rules.cel_text import Token
from revpipe.rules.expressions import MAX_TERMS, fields_in, leaves, null_test, program, terms
from revpipe.rules.name_checks import name_faults
from revpipe.rules.syntax_hints import hints

MAX_LENGTH: Final = 2000
MAX_TOKENS: Final = 400


def condition_faults(condition: str) -> list[str]:
    """One sentence for each fault of a condition; an empty list if it can be used."""
    if not condition.strip():
        return ["the condition is empty; write `true` for a rule that always holds"]
    if len(condition) > MAX_LENGTH:
        return [f"the condition is longer than {MAX_LENGTH} characters; split the rule in two"]
    try:
        cel_engine.compile(condition)
        items = cel_text.tokens(condition)
    except ValueError as error:
        return [f"is not a CEL expression: {_first_line(error)}{hints(condition)}"]
    faults = _shape_faults(items) or name_faults(items)
    if faults:
        return list(dict.fromkeys(faults))
    if len(terms(condition)) > MAX_TERMS:
        return [f"more than {MAX_TERMS} parts joined by &&; split the rule in two"]
    found = (_leaf_fault(condition, leaf) for leaf in leaves(condition, items))
    return [fault for fault in found if fault]


def _shape_faults(items: Sequence[Token]) -> list[str]:
    if len(items) > MAX_TOKENS:
        return [f"the condition has more than {MAX_TOKENS} words; split the rule in two"]
    if any(item.text == "?" for item in items):
        return ["`a ? b : c` can't be used; write it with && and ||"]
    if any(one.kind == two.kind == "string" for one, two in pairwise(items)):
        return ["texts in three quotes can't be used; write them in one pair of quotes"]
    return []


def _leaf_fault(condition: str, leaf: Sequence[Token]) -> str | None:
    text = cel_text.source(condition, leaf)
    if null_test(leaf):
        return None
    if any(item.kind == "name" and item.text == "null" for item in leaf):
        return f"{text}: null can only be tested by itself, as in deal.amount != null"
    places = cel_text.comparison(leaf)
    if len(places) > 1:
        return f"{text}: more than one comparison; join them with &&"
    if places:
        left, right = leaf[: places[0]], leaf[places[0] + 1 :]
        return _comparison_fault(text, leaf[places[0]].text, _runner(condition, left), _runner(condition, right))
    answers, error = _tried(_runner(condition, leaf))
    if not answers:
        return f"{text}: {error}"
    kind = _kind(answers[0])
    return None if kind == "yes-or-no" else f"{text} is {_a(kind)}, not a yes or no; compare it with something"


def _comparison_fault(text: str, operator: str, left: Callable[[int], Any], right: Callable[[int], Any]) -> str | None:
    lefts, left_error = _tried(left)
    rights, right_error = _tried(right)
    if not lefts or not rights:
        return f"{text}: {left_error or right_error}"
    one, two = _kind(lefts[0]), _kind(rights[0])
    if operator == "in":
        return _membership_fault(text, one, rights[0])
    if one != two:
        return f"{text} compares {_a(one)} with {_a(two)}{_time_hint(one, two)}"
    if operator not in ("==", "!=") and one in ("yes-or-no", "list", "record"):
        return f"{text}: {_a(one)} has no order; use == or !="
    return None


def _membership_fault(text: str, kind: str, container: Any) -> str | None:
    if not isinstance(container, list):
        return f"{text}: what follows `in` must be a list, not {_a(_kind(container))}"
    inner = _kind(container[0]) if container else kind
    return None if inner == kind else f"{text} looks for {_a(kind)} in a list of {inner}s"


def _runner(condition: str, items: Sequence[Token]) -> Callable[[int], Any]:
    run = program(condition, items)
    # Only what is named: to hand all of the vocabulary over costs more than everything else in loading rules.
    roots = {"now", *(root for root, _ in fields_in(items))}
    return lambda number: run({root: value for root, value in _sample(number).items() if root in roots})


@cache
def _sample(number: int) -> dict[str, Any]:
    return samples.sample(number)


def _tried(run: Callable[[int], Any]) -> tuple[list[Any], str]:
    """What the made-up facts give, and the first error. A fault is only what fails on all of them."""
    answers: list[Any] = []
    error = ""
    for number in range(samples.COUNT):
        try:
            answers.append(run(number))
        except Exception as raised:  # noqa: BLE001  CEL raises many built-in errors; each is told to the author
            error = error or _first_line(raised)
    return answers, "" if answers else error


def _kind(value: Any) -> str:
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "yes-or-no"),
        ((int, float), "number"),
        (str, "text"),
        (datetime, "time"),
        (timedelta, "duration"),
        (list, "list"),
        (dict, "record"),
    )
    return next((name for types, name in kinds if isinstance(value, types)), "value")


def _a(kind: str) -> str:
    return f"a {kind}"


def _time_hint(one: str, two: str) -> str:
    return "; times are texts until you write timestamp(…) round them" if {one, two} == {"text", "time"} else ""


def _first_line(error: Exception) -> str:
    text = re.sub(r"\s+", " ", str(error).split("\n| ", maxsplit=1)[0])
    text = re.sub(r"^.*ERROR: <input>:\d+:\d+: ", "", text)
    text = re.sub(r"^.*Python function call failed: \w+: |\. Check function arguments and their types\.$", "", text)
    return text.split(" expecting {", 1)[0].split(" CEL does not", 1)[0][:200]
