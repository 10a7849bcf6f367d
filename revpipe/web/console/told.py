"""What a causal page says: rules sorted by what they said, values as text, codes as words."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from revpipe import why_not
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.rules.why_not import WhyNot
from revpipe.services import Services
from revpipe.story.causal import ApprovalAsked, Causal, RuleAsked
from revpipe.web.console import shown
from revpipe.web.console.shown import Edit

SHOWN: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules by what they said: those that fired, that listened and did not, that would have in shadow, that slept."""

    fired: tuple[RuleAsked, ...]
    near: tuple[RuleAsked, ...]
    shadow: tuple[RuleAsked, ...]
    deaf: tuple[RuleAsked, ...]

    @property
    def all(self) -> tuple[RuleAsked, ...]:
        """Every rule that was asked."""
        return (*self.fired, *self.near, *self.shadow, *self.deaf)


def rules(found: Causal) -> Rules:
    """The rules of the decision; none while there is none."""
    asked = found.decision.rules if found.decision else ()
    live = [one for one in asked if one.mode != "shadow"]
    return Rules(
        fired=tuple(one for one in live if one.fired),
        near=tuple(one for one in live if one.listened and not one.fired),
        shadow=tuple(one for one in asked if one.mode == "shadow"),
        deaf=tuple(one for one in live if not one.listened),
    )


def answer(services: Services, found: Causal, rule_id: str) -> WhyNot:
    """Why a rule did not fire; where that can't be told, the answer says so."""
    try:
        with transaction(services.engine) as tx:
            return why_not.of_signal(services, tx, found.signal_id, rule_id)
    except Permanent as error:
        told = str(error)
        return WhyNot(rule_id, (), found=False, sentence=told[:1].upper() + told[1:])


def edits(asked: ApprovalAsked) -> list[Edit]:
    """What people changed before they agreed."""
    return shown.edits([asdict(one) for one in asked.versions])


def inline(value: Any) -> str:
    """A value within a line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)[:500]


def text(value: Any) -> str:
    """A value for people to read: text as it is, anything else as JSON, bounded."""
    if not isinstance(value, str):
        indent = 2 if isinstance(value, Mapping | list) else None
        value = json.dumps(value, ensure_ascii=False, default=str, indent=indent)
    rest = len(value) - SHOWN
    return value if rest <= 0 else f"{value[:SHOWN]}… ({rest:,} more characters)"


def words(code: Any) -> str:
    """A stable code as words."""
    return str(code or "").replace("_", " ")
