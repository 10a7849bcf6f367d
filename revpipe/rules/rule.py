"""What a rule is, once it has been read, checked and compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from revpipe.rules.expressions import CompiledTerm
from revpipe.rules.templates import Renderer


@dataclass(frozen=True, slots=True)
class RuleAction:
    """One action of a rule; `render` fills its params from the facts."""

    type: str
    params: Mapping[str, Any]
    render: Renderer
    priority: str | None
    approval: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked and compiled. `events` are the names that its `on` stands for."""

    id: str
    description: str
    owner: str
    on: tuple[str, ...]
    events: frozenset[str]
    when: str
    terms: tuple[CompiledTerm, ...]
    then: tuple[RuleAction, ...]
    conclusive: bool
    cooldown: timedelta


@dataclass(frozen=True, slots=True)
class UrgencyRule:
    """Where its condition holds, a signal is at least this urgent."""

    id: str
    description: str
    when: str
    terms: tuple[CompiledTerm, ...]
    urgency: str


@dataclass(frozen=True, slots=True)
class RuleFile:
    """All that a rules.yaml holds, in its order."""

    rules: tuple[Rule, ...]
    urgencies: tuple[UrgencyRule, ...]
