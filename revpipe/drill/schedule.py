"""Which attacks come when: all of it follows from the seed."""

import random
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: `at` seconds after the first signal, lasting `lasts` seconds; `aimed` waits for work in hand."""

    at: float
    kind: str
    lasts: float = 0.0
    aimed: bool = True
    detail: dict[str, Any] = field(default_factory=dict)


WEIGHTS: Final[dict[str, int]] = {
    "kill worker": 4,
    "kill keeper": 1,
    "kill web": 1,
    "kill beat": 1,
    "freeze": 2,
    "freeze past the lease": 2,
    "flush": 2,
    "redelivery": 2,
    "broker restart": 1,
    "database restart": 1,
    "broker cut": 1,
    "broker stall": 1,
    "broker half-open": 1,
    "broker latency": 1,
    "vendor cut": 1,
    "vendor stall": 1,
    "vendor latency": 1,
    "vendor errors": 1,
    "vendor rate limit": 1,
    "vendor outage": 1,
    "malformed answer": 1,
    "effect without answer": 2,
    "late effect": 2,
}
"""Every kind of attack, and how many of each are in one deck of cards."""
SERVER_GAP: Final = 8.0
"""Seconds between two restarts of servers: one that dies at its start is taken for broken, and rightly so."""
_SERVERS: Final = ("broker restart", "database restart")
EARLY: Final = {
    "broker half-open": 0.35,
    "effect without answer": 0.6,
    "late effect": 0.6,
    "malformed answer": 0.6,
    "vendor cut": 0.6,
    "vendor errors": 0.6,
    "vendor outage": 0.6,
    "vendor stall": 0.6,
}
"""Up to which part of the time these come. What they leave behind takes up to half a minute to be sure of, the
vendors' settle time, and at the end of a rehearsal would only make it longer. A half-open connection is found out
ten seconds after its next use."""
_LASTS: Final[dict[str, tuple[float, float]]] = {
    "freeze": (0.5, 2.0),
    "broker stall": (1.5, 4.0),
    "broker latency": (2.0, 5.0),
    "vendor stall": (1.0, 4.0),
    "vendor latency": (2.0, 5.0),
    "vendor errors": (1.0, 3.0),
    "vendor rate limit": (1.0, 3.0),
    "vendor outage": (2.0, 5.0),
    "late effect": (1.0, 4.0),
}


def make(seed: int, seconds: float, every: float, lease: float) -> list[Attack]:
    """A schedule for `seconds`, an attack about every `every` seconds: deck after deck, each shuffled anew.

    A process is frozen past its lease by one to three seconds.
    """
    chance = random.Random(seed)
    times = _times(chance, seconds, every)
    attacks: list[Attack] = []
    deck: list[str] = []
    server_free = 0.0
    for at in times:
        fits = [place for place, kind in enumerate(deck) if _fits(kind, at, seconds, server_free)]
        if not fits:
            deck = _deck(chance)
            fits = [place for place, kind in enumerate(deck) if _fits(kind, at, seconds, server_free)]
        kind = deck.pop(fits[0])
        if kind in _SERVERS:
            server_free = at + SERVER_GAP
        attacks.append(_attack(chance, at, kind, lease, late=at > seconds * 0.35))
    return attacks


def _deck(chance: random.Random) -> list[str]:
    cards = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
    chance.shuffle(cards)
    return cards


def _fits(kind: str, at: float, seconds: float, server_free: float) -> bool:
    return at >= server_free if kind in _SERVERS else at <= seconds * EARLY.get(kind, 1.0)


def _times(chance: random.Random, seconds: float, every: float) -> list[float]:
    found, at = [], every * chance.uniform(0.5, 1.0)
    while at < seconds:
        found.append(round(at, 2))
        at += every * chance.uniform(0.6, 1.4)
    return found


def _attack(chance: random.Random, at: float, kind: str, lease: float, *, late: bool) -> Attack:
    low, high = _LASTS.get(kind, (0.0, 0.0))
    lasts = lease + chance.uniform(1.0, 3.0) if kind == "freeze past the lease" else chance.uniform(low, high)
    detail: dict[str, Any] = {"pick": chance.random()}
    if kind.startswith("vendor") or kind in ("malformed answer", "effect without answer", "late effect"):
        detail["vendor"] = "hubspot" if late else chance.choice(("hubspot", "slack"))
    if kind in ("effect without answer", "late effect", "malformed answer"):
        detail["count"] = chance.randint(1, 3)
    if kind == "database restart":
        detail["gentle"] = chance.random() < 0.5
    return Attack(at, kind, round(lasts, 2), detail=detail)
