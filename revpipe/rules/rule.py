"""What a rule is, once it has been read, checked and compiled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

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


LIVE: Final = "live"
SHADOW: Final = "shadow"
MODES: Final = (LIVE, SHADOW)


@dataclass(frozen=True, slots=True)
class ExpectedAction:
    """An action that a rule's test expects. Only what it names is compared."""

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)
    priority: str | None = None
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class RuleTest:
    """Facts, and what the rule is to want on them: `expected` None says that it does not fire at all."""

    name: str
    line: int
    given: Mapping[str, Any]
    expected: tuple[ExpectedAction, ...] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked and compiled. `events` are the names that its `on` stands for.

    `urgency` is the least that its actions and, if it fires, the signal get; `expires` is how long its actions may
    wait before they are no longer wanted. In `mode` shadow it is asked and has no say.
    """

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
    urgency: str | None = None
    expires: timedelta | None = None
    mode: str = LIVE
    tests: tuple[RuleTest, ...] = ()


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
