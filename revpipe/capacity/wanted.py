"""The volume that a calculation is for: how many signals a day, how they arrive, and what comes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from revpipe.capacity.costs import SHAPES
from revpipe.gate import HUBSPOT_PER_10S

USUAL_MIX: Final = "single=60,batch=30,file=10"
HUBSPOT_PER_DAY: Final = 625_000
"""Calls a day of a Professional account (HubSpot docs, usage details; Starter 250,000, Enterprise 1,000,000)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Shares are from 0 to 1. `mix` is by shape and sums to 1; `acts` is the share of signals that lead to an action,
    `alerts` the share of actions that are Slack messages, `peak` the share of a day in its busiest hour, `headroom` the
    share of every dyno that stays free then. `vendor_s` is how long a vendor takes to answer, in seconds.
    """

    signals_per_day: int
    mix: Mapping[str, float] = field(default_factory=lambda: parse_mix(USUAL_MIX))
    acts: float = 0.2
    alerts: float = 0.2
    peak: float = 0.15
    headroom: float = 0.4
    vendor_s: float = 0.25
    channels: int = 1
    hubspot_per_10s: int = HUBSPOT_PER_10S
    hubspot_per_day: int = HUBSPOT_PER_DAY
    database_processors: float = 2.0

    @property
    def per_second(self) -> float:
        """Signals a second in the busiest hour."""
        return self.signals_per_day * self.peak / 3600


def parse_mix(text: str) -> dict[str, float]:
    """`single=60,batch=30,file=10` as shares; a shape that is not named has none. Raises ValueError."""
    mix = dict.fromkeys(SHAPES, 0.0)
    named: set[str] = set()
    for part in text.split(","):
        word, equals, number = (piece.strip() for piece in part.partition("="))
        if word not in SHAPES:
            raise ValueError(f"{word!r} is no way for signals to arrive; there are: {', '.join(SHAPES)}")
        if word in named:
            raise ValueError(f"{word} is named twice")
        named.add(word)
        mix[word] = _percent(word, number if equals else "")
    total = sum(mix.values())
    if abs(total - 1) > 0.0005:
        raise ValueError(f"the shares make {100 * total:g} %, not 100")
    return mix


def _percent(word: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise ValueError(f"{word}={number}: write a percentage from 0 to 100, as in {USUAL_MIX}")
    return value / 100
