"""What became of the question on one signal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from revpipe.rules.book import PlannedAction

LLM: Final = "llm"
FALLBACK: Final = "fallback"
RULE: Final = "llm"
"""Stands in an action's row where the rule is named: one open action of each type that a model wants for a deal."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by` is who decided in the end; `code` is `answered` or why the fallback did. `told` goes into the plan."""

    by: str
    code: str
    actions: tuple[PlannedAction, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For the plan: codes, numbers, and the model's own reason, in which people are masked."""
        return {"by": self.by, "outcome": self.code, **self.told}

    def trail(self) -> dict[str, Any]:
        """For the trail: codes and numbers only."""
        return {"llm": self.code, **{name: self.told[name] for name in ("model", "reused") if self.told.get(name)}}


def fallback(code: str, **told: Any) -> Verdict:
    """Nothing beyond what the rules said, and why."""
    return Verdict(FALLBACK, code, told=told)
