"""The book of rules: which of them fire on given facts, what they want done, and why each did or did not fire."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from revpipe.rules.explanation import SHADOW_BUDGET, explain
from revpipe.rules.expressions import CompiledTerm, Facts, Term
from revpipe.rules.file import ActionTypes, read
from revpipe.rules.rule import SHADOW, Rule, RuleFile, UrgencyRule
from revpipe.signals import URGENCIES

__all__ = ["Evaluation", "PlannedAction", "Rule", "RuleBook", "RuleOutcome", "ShadowOutcome", "Term", "higher", "load"]


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What became of one rule. A rule that does not listen to the event is not asked and has no terms."""

    rule_id: str
    fired: bool
    listened: bool
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One action that a fired rule wants. `approval` None leaves it to the policy of its type."""

    rule_id: str
    rule_description: str
    type: str
    params: Mapping[str, Any]
    priority: str
    approval: str | None
    cooldown: timedelta
    expires: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ShadowOutcome:
    """What a rule in shadow would have done: whether it had settled the signal, and the actions it had wanted."""

    outcome: RuleOutcome
    conclusive: bool
    actions: tuple[PlannedAction, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer of the whole book. `conclusive`: a fired rule says that nothing needs deciding any more.

    `urgency` is the highest that a fired rule raises its signal to, None if none does. All of it comes from live
    rules but `shadows`, which has no effect on the rest.
    """

    outcomes: tuple[RuleOutcome, ...]
    actions: tuple[PlannedAction, ...]
    conclusive: bool
    fired: tuple[str, ...]
    urgency: str | None = None
    shadows: tuple[ShadowOutcome, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The explanation as JSON, at most about 70,000 characters whatever the book and the values are."""
        told = {
            "fired": list(self.fired),
            "conclusive": self.conclusive,
            "actions": [{"rule": action.rule_id, "type": action.type} for action in self.actions[:100]],
            "rules": explain(_told(item) for item in self.outcomes),
        }
        if self.shadows:
            told["shadow"] = explain((_told(item.outcome) for item in self.shadows), SHADOW_BUDGET)
        return told


class RuleBook:
    """All rules of one version. It holds no state: the same facts always give the same answer.

    `source` is the file's text with its line ends and trailing blanks evened out, `version` the first 16 hex
    digits of its SHA-256.
    """

    def __init__(self, file: RuleFile, source: str) -> None:
        self.rules: tuple[Rule, ...] = file.rules
        self.live = tuple(rule for rule in file.rules if rule.mode != SHADOW)
        self.shadows = tuple(rule for rule in file.rules if rule.mode == SHADOW)
        self.longest_cooldown = max((rule.cooldown for rule in file.rules), default=timedelta(0))
        self.urgencies: tuple[UrgencyRule, ...] = file.urgencies
        self._deaf = {rule.id: RuleOutcome(rule.id, fired=False, listened=False, terms=()) for rule in file.rules}
        self.source = source
        self.version = hashlib.sha256(source.encode()).hexdigest()[:16]

    def evaluate(self, facts: Facts, gathered: Sequence[Facts] = ()) -> Evaluation:
        """Ask every rule that listens to this event. Never raises: what is not known makes no rule fire.

        `gathered` are further changes that the signal carries, from new to old. A rule is asked about the first of
        all of them that it listens to, so that `signal` is for every rule something it was written for.
        """
        present = self._urgency(facts)
        told = _Told(((_event(facts), facts), *((_event(one), one) for one in gathered)))
        outcomes = tuple(
            _outcome(rule, *told.to(rule)) if told.heard_by(rule) else self._deaf[rule.id] for rule in self.live
        )
        fired = [rule for rule, outcome in zip(self.live, outcomes, strict=True) if outcome.fired]
        actions = tuple(action for rule in fired for action in _planned(rule, told.to(rule)[1], present))
        raised = min((rule.urgency for rule in fired if rule.urgency), key=_rank, default=None)
        return Evaluation(
            outcomes=outcomes,
            actions=actions,
            conclusive=any(rule.conclusive for rule in fired),
            fired=tuple(rule.id for rule in fired),
            urgency=raised,
            shadows=tuple(self._shadow(rule, *told.to(rule), present) for rule in self.shadows),
        )

    def alone(self, rule: Rule, facts: Facts) -> tuple[RuleOutcome, tuple[PlannedAction, ...]]:
        """What one rule says, and the actions it wants, whatever its mode and the others say."""
        outcome = _outcome(rule, _event(facts), facts)
        return outcome, tuple(_planned(rule, facts, self._urgency(facts))) if outcome.fired else ()

    def _shadow(self, rule: Rule, event: Any, facts: Facts, present: str) -> ShadowOutcome:
        outcome = _outcome(rule, event, facts)
        actions = tuple(_planned(rule, facts, present)) if outcome.fired else ()
        return ShadowOutcome(outcome, outcome.fired and rule.conclusive, actions)

    def _urgency(self, facts: Facts) -> str:
        return self.urgency(facts, str((facts.get("signal") or {}).get("urgency") or "standard"))

    def urgency(self, facts: Facts, current: str) -> str:
        """`current`, or the first urgency of the file that is higher and whose condition holds."""
        for rule in self.urgencies:
            if URGENCIES.index(rule.urgency) < _rank(current) and _holds(rule.terms, facts):
                return rule.urgency
        return current


def load(text: str, action_types: ActionTypes, name: str = "rules.yaml") -> RuleBook:
    """The book in `text`. `action_types` maps each type to its adapter's check of params, or None.

    Raises Misconfigured with one line for each fault: `rules.yaml:LINE: what is wrong and what to do`.
    """
    lines = text.replace("\r\n", "\n").removeprefix("\ufeff").split("\n")
    source = "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"
    return RuleBook(read(text.removeprefix("\ufeff"), action_types, name), source)


@dataclass(frozen=True, slots=True)
class _Told:
    """The changes that a signal carries, each by its event and its facts; the one that it stands for comes first."""

    changes: tuple[tuple[Any, Facts], ...]

    def heard_by(self, rule: Rule) -> bool:
        """Whether the rule listens to any of them."""
        return any(event in rule.events for event, _ in self.changes)

    def to(self, rule: Rule) -> tuple[Any, Facts]:
        """The one that this rule is asked about."""
        return next((one for one in self.changes if one[0] in rule.events), self.changes[0])


def _told(item: RuleOutcome) -> tuple[str, bool, bool, tuple[Term, ...]]:
    return item.rule_id, item.fired, item.listened, item.terms


def _event(facts: Facts) -> Any:
    return (facts.get("signal") or {}).get("event")


def _outcome(rule: Rule, event: Any, facts: Facts) -> RuleOutcome:
    if event not in rule.events:
        return RuleOutcome(rule.id, fired=False, listened=False, terms=())
    asked = tuple(term.ask(facts) for term in rule.terms)
    return RuleOutcome(rule.id, all(term.held is True for term in asked), listened=True, terms=asked)


def _planned(rule: Rule, facts: Facts, urgency: str) -> list[PlannedAction]:
    return [
        PlannedAction(
            rule_id=rule.id,
            rule_description=rule.description,
            type=action.type,
            params=action.render(facts),
            priority=action.priority or higher(urgency, rule.urgency),
            approval=action.approval,
            cooldown=rule.cooldown,
            expires=rule.expires,
        )
        for action in rule.then
    ]


def higher(urgency: str, other: str | None) -> str:
    """The more urgent of two; `urgency` if there is no other."""
    return other if other is not None and _rank(other) < _rank(urgency) else urgency


def _holds(terms: tuple[CompiledTerm, ...], facts: Facts) -> bool:
    return all(term.test(facts) is True for term in terms)


def _rank(urgency: str) -> int:
    return URGENCIES.index(urgency) if urgency in URGENCIES else len(URGENCIES)
