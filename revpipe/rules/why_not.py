"""Why a rule did not fire, as the smallest change of what was known that would have made it fire.

Smallest: the fewest fields, and of these the values nearest to what they were. What is found is asked of the rule's own
condition before it is told, so it does hold; where nothing is found, that is told instead.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, islice, product
from typing import Any, Final

from revpipe.rules import cel_text
from revpipe.rules.cel_text import Token
from revpipe.rules.expressions import CompiledTerm, Facts, fields_in, lookup, tester
from revpipe.rules.fields import FIELDS
from revpipe.rules.wanted_values import OTHER, distance, values

WAYS: Final = 100
"""How many ways to make a condition hold are looked into; one without `||` has one."""
TRIES: Final = 3000
"""How many values, together, are tried for fields that hang together."""
TOGETHER: Final = 3
"""How many fields that hang together are changed at once."""
HALVINGS: Final = 60
Path = tuple[str, str]
EVENT: Final[Path] = ("signal", "event")


@dataclass(frozen=True, slots=True)
class Change:
    """One field that would have had to be otherwise: `term` is the part of the condition that asks for it.

    `value` is what it was (None: absent), `wanted` what would have done. `wanted` of OTHER stands for any other text.
    """

    term: str
    path: str
    value: Any
    wanted: Any

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {name: getattr(self, name) for name in ("term", "path", "value", "wanted")}


@dataclass(frozen=True, slots=True)
class WhyNot:
    """The answer for one rule. `found` False: no change of values was found, and `changes` is empty."""

    rule_id: str
    changes: tuple[Change, ...]
    found: bool
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        told = [one.as_dict() for one in self.changes]
        return {"rule": self.rule_id, "found": self.found, "changes": told, "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A part of a condition without and, or and not, and whether it is to be true or false."""

    items: tuple[Token, ...]
    wanted: bool
    test: Callable[[Facts], bool | None]
    paths: frozenset[Path]

    def holds(self, facts: Facts) -> bool:
        return self.test(facts) is self.wanted


@dataclass(frozen=True, slots=True)
class _Priced:
    """Values by field, and what it costs to go there."""

    price: float
    wanted: dict[Path, Any]

    @property
    def rank(self) -> tuple[int, float]:
        return len(self.wanted), self.price


def why_not(rule_id: str, condition: str, terms: Sequence[CompiledTerm], events: Iterable[str], facts: Facts) -> WhyNot:
    """The smallest change of `facts` that makes a rule fire, which listens to `events`; `terms` are its condition's."""
    known, event = _plain(facts), str(lookup(facts, "signal", "event"))
    listens = sorted(events)
    heard: list[Change] = []
    if event not in listens:
        # The nearest by its first word: another change of a deal before a call.
        about = event.partition(".")[0] + "."
        near = max(listens, key=lambda one: (one.startswith(about), -listens.index(one)), default="")
        heard = [Change("on", "signal.event", event, near)]
        known = changed(known, heard)
    found = _smallest(condition, terms, known)
    if found is None:
        return WhyNot(rule_id, (), found=False, sentence=_stuck(rule_id, terms, known))
    changes = (*heard, *(_change(path, value, terms, known) for path, value in sorted(found.items())))
    return WhyNot(rule_id, changes, found=True, sentence=_sentence(rule_id, changes))


def changed(facts: Facts, changes: Iterable[Change]) -> dict[str, Any]:
    """The facts as they would have been with these changes."""
    wanted = {(root, name): one.wanted for one in changes for root, _, name in [one.path.partition(".")]}
    return _with(_plain(facts), wanted)


def _plain(facts: Facts) -> dict[str, Any]:
    roots = {root: dict(facts.get(root) or {}) for root in FIELDS if root != "now"}
    return roots | {"now": facts.get("now") or datetime.now(UTC)}


def _with(known: Mapping[str, Any], wanted: Mapping[Path, Any]) -> dict[str, Any]:
    made = dict(known)
    for (root, name), value in wanted.items():
        made[root] = {**made[root], name: value}
    return made


def _smallest(condition: str, terms: Sequence[CompiledTerm], known: dict[str, Any]) -> dict[Path, Any] | None:
    best: _Priced | None = None
    items = cel_text.tokens(condition)
    for way in islice(_ways(condition, items, wanted=True), WAYS):
        found = _solve(way, known)
        if found is None or not all(term.test(_with(known, found.wanted)) is True for term in terms):
            continue
        if best is None or found.rank < best.rank:
            best = found
    return best.wanted if best else None


def _ways(condition: str, items: Sequence[Token], *, wanted: bool) -> Iterator[tuple[_Leaf, ...]]:
    """Each set of leaves that together make `items` what is wanted."""
    items = cel_text.unwrapped(items)
    for operator, needs_all in (("||", not wanted), ("&&", wanted)):
        parts = cel_text.split(items, operator)
        if len(parts) > 1 and needs_all:
            every = (list(islice(_ways(condition, part, wanted=wanted), WAYS)) for part in parts)
            yield from (tuple(leaf for way in ways for leaf in way) for ways in product(*every))
            return
        if len(parts) > 1:
            for part in parts:
                yield from _ways(condition, part, wanted=wanted)
            return
    inner = cel_text.negated(items)
    if inner is not None:
        yield from _ways(condition, inner, wanted=not wanted)
        return
    paths = frozenset(path for path in fields_in(items) if path[1])
    yield (_Leaf(tuple(items), wanted, tester(condition, items), paths),)


def _solve(way: Sequence[_Leaf], known: dict[str, Any]) -> _Priced | None:
    """Values with which every leaf of a way is as wanted, group by group of those that share a field."""
    price = 0.0
    wanted: dict[Path, Any] = {}
    for group in _groups(way):
        if all(leaf.holds(known) for leaf in group):
            continue
        found = _group(group, known)
        if found is None:
            return None
        price += found.price
        wanted |= found.wanted
    return _Priced(price, wanted)


def _groups(way: Sequence[_Leaf]) -> list[list[_Leaf]]:
    groups: list[tuple[set[Path], list[_Leaf]]] = []
    for leaf in way:
        joined: tuple[set[Path], list[_Leaf]] = (set(leaf.paths), [leaf])
        apart = []
        for group in groups:
            if group[0] & joined[0]:
                joined = (joined[0] | group[0], [*group[1], *joined[1]])
            else:
                apart.append(group)
        groups = [*apart, joined]
    return [leaves for _, leaves in groups]


def _group(group: Sequence[_Leaf], known: dict[str, Any]) -> _Priced | None:
    """The fewest fields, and the nearest values, with which all leaves of a group are as wanted."""
    paths = sorted({path for leaf in group for path in leaf.paths if path != EVENT})
    parts = {path: [leaf.items for leaf in group if path in leaf.paths] for path in paths}
    tried = {path: values(*path, known[path[0]].get(path[1]), parts[path], known["now"]) for path in paths}
    for path in paths:
        # Where fields are compared with each other, one may have to be as the other is.
        others = (known[other[0]].get(other[1]) for other in paths if other != path)
        tried[path] += [(1.0, near) for value in others for near in _beside(value)]
    for size in range(1, min(len(paths), TOGETHER) + 1):
        found = [one for some in combinations(paths, size) if (one := _nearest(group, some, tried, known))]
        if found:
            return min(found, key=lambda one: one.price)
    return None


def _nearest(
    group: Sequence[_Leaf],
    some: Sequence[Path],
    tried: Mapping[Path, Sequence[tuple[float, Any]]],
    known: dict[str, Any],
) -> _Priced | None:
    """The cheapest values of just these fields with which all leaves of the group are as wanted."""
    best: _Priced | None = None
    each = TRIES if len(some) == 1 else int(TRIES ** (1 / len(some)))
    for chosen in product(*(tried[path][:each] for path in some)):
        price = sum(one for one, _ in chosen)
        wanted = {path: value for path, (_, value) in zip(some, chosen, strict=True)}
        if (best is None or price < best.price) and all(leaf.holds(_with(known, wanted)) for leaf in group):
            best = _Priced(price, wanted)
    if best is not None and len(some) == 1:
        (path,) = some
        best.wanted[path] = _edge(group, path, best.wanted[path], known)
    return best


def _edge(group: Sequence[_Leaf], path: Path, value: Any, known: dict[str, Any]) -> Any:
    """A number that holds, moved as near to the present one as it still does: literals may not name the boundary."""
    present = known[path[0]].get(path[1])
    if isinstance(value, str) or distance(present, value) is None:
        return value

    def holds(number: Any) -> bool:
        return all(leaf.holds(_with(known, {path: number})) for leaf in group)

    whole = FIELDS[path[0]][path[1]].type == "int"
    inner, outer = float(present), float(value)
    for _ in range(HALVINGS):
        middle = (inner + outer) / 2
        inner, outer = (inner, middle) if holds(round(middle) if whole else middle) else (middle, outer)
    rounded = [value]
    for digits in (0,) if whole else (0, 1, 2):
        step = (1 if outer >= inner else -1) * 10.0**-digits
        near = (round(outer, digits), round(outer + step, digits))
        rounded += [number for number in (int(one) if whole else one for one in near) if holds(number)]
    return min(rounded, key=lambda number: distance(present, number) or 0.0)


def _beside(value: Any) -> list[Any]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [value, value + 1, value - 1]
    return [] if value is None else [value]


def _change(path: Path, wanted: Any, terms: Sequence[CompiledTerm], known: Mapping[str, Any]) -> Change:
    label = f"{path[0]}.{path[1]}"
    about = [term for term in terms if any(one[0] == label for one in term.labels)]
    term = next((one for one in about if one.test(known) is not True), about[0])
    return Change(" ".join(term.expression.split()), label, known[path[0]].get(path[1]), wanted)


def _sentence(rule_id: str, changes: Sequence[Change]) -> str:
    if not changes:
        return f"Rule {rule_id} holds on what is known."
    return f"Rule {rule_id} would have fired with {', and '.join(_words(one) for one in changes)}."


def _words(change: Change) -> str:
    if change.wanted is None:
        return f"no {change.path} (it was {_shown(change.value)})"
    was = "it was not known" if change.value is None else f"it was {_shown(change.value)}"
    wanted = "any other value" if change.wanted == OTHER else _shown(change.wanted)
    return f"{change.path} {wanted} ({was})"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _stuck(rule_id: str, terms: Sequence[CompiledTerm], known: Mapping[str, Any]) -> str:
    open_ = [" ".join(term.expression.split()) for term in terms if term.test(known) is not True]
    return f"No change of single values was found that makes rule {rule_id} fire; what kept it: {'; '.join(open_)}."
