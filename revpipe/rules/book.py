"""The book of rules: which of them fire on given facts, what they want done, and why each did or did not fire."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from revpipe.rules.explanation import explain
from revpipe.rules.expressions import CompiledTerm, Facts, Term
from revpipe.rules.file import ActionTypes, read
from revpipe.rules.rule import Rule, RuleFile, UrgencyRule
from revpipe.signals import URGENCIES

__all__ = ["Evaluation", "PlannedAction", "Rule", "RuleBook", "RuleOutcome", "Term", "load"]


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


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answer of the whole book. `conclusive`: a fired rule says that nothing needs deciding any more."""

    outcomes: tuple[RuleOutcome, ...]
    actions: tuple[PlannedAction, ...]
    conclusive: bool
    fired: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The explanation as JSON, at most about 60,000 characters whatever the book and the values are."""
        return {
            "fired": list(self.fired),
            "conclusive": self.conclusive,
            "actions": [{"rule": action.rule_id, "type": action.type} for action in self.actions[:100]],
            "rules": explain((item.rule_id, item.fired, item.listened, item.terms) for item in self.outcomes),
        }


class RuleBook:
    """All rules of one version. It holds no state: the same facts always give the same answer.

    `source` is the file's text with its line ends and trailing blanks evened out, `version` the first 16 hex
    digits of its SHA-256.
    """

    def __init__(self, file: RuleFile, source: str) -> None:
        self.rules: tuple[Rule, ...] = file.rules
        self.urgencies: tuple[UrgencyRule, ...] = file.urgencies
        self.source = source
        self.version = hashlib.sha256(source.encode()).hexdigest()[:16]

    def evaluate(self, facts: Facts) -> Evaluation:
        """Ask every rule that listens to this event. Never raises: what is not known makes no rule fire."""
        signal = facts.get("signal") or {}
        urgency = self.urgency(facts, str(signal.get("urgency") or "standard"))
        outcomes = tuple(_outcome(rule, signal.get("event"), facts) for rule in self.rules)
        fired = [rule for rule, outcome in zip(self.rules, outcomes, strict=True) if outcome.fired]
        actions = tuple(action for rule in fired for action in _planned(rule, facts, urgency))
        return Evaluation(outcomes, actions, any(rule.conclusive for rule in fired), tuple(rule.id for rule in fired))

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
            priority=action.priority or urgency,
            approval=action.approval,
            cooldown=rule.cooldown,
        )
        for action in rule.then
    ]


def _holds(terms: tuple[CompiledTerm, ...], facts: Facts) -> bool:
    return all(term.test(facts) is True for term in terms)


def _rank(urgency: str) -> int:
    return URGENCIES.index(urgency) if urgency in URGENCIES else len(URGENCIES)
