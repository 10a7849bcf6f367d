"""How much can go wrong with an action: a tier, from the deal's amount and from who decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LOW: Final = "low"
TIERS: Final = (LOW, "medium", "high")
DECIDERS: Final = ("rules", "llm", "fallback")


@dataclass(frozen=True, slots=True)
class Risk:
    """Where the tiers begin. `amounts` is in the deal's own currency; `unknown` is for a deal of unknown amount.

    What is about no deal has the tier of who decided.
    """

    amounts: Mapping[str, float] = field(default_factory=lambda: {"medium": 10_000, "high": 50_000})
    unknown: str = "medium"
    decided_by: Mapping[str, str] = field(
        default_factory=lambda: {"rules": LOW, "llm": "medium", "fallback": "medium"},
    )

    def of(self, decided_by: str, deal: Mapping[str, Any] | None) -> str:
        """The tier of an action: the higher of what its deal and its decider say. `deal` is the context's part."""
        mine = self.decided_by.get(decided_by, TIERS[-1])
        return max(mine, self._of_deal(deal), key=TIERS.index)

    def _of_deal(self, deal: Mapping[str, Any] | None) -> str:
        if not deal:
            return LOW
        amount = deal.get("amount")
        if isinstance(amount, bool) or not isinstance(amount, int | float):
            return self.unknown
        reached = [tier for tier, least in self.amounts.items() if amount >= least]
        return max(reached, key=TIERS.index, default=LOW)
