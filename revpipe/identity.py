"""What the core expects of a provider that vouches for people: a Protocol, and what passes through it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Departure:
    """Where the browser goes, and what it must keep, sealed by us, until it comes back."""

    url: str
    kept: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom a provider vouches for; `verified` says that it has seen the address to be theirs."""

    email: str
    verified: bool


class IdentityProvider(Protocol):
    """Signs people in elsewhere."""

    name: str

    def depart(self, return_to: str) -> Departure:
        """Begin a sign-in that comes back to `return_to`, a URL of ours. Raises Transient if it does not answer."""

    def arrive(self, return_to: str, answer: Mapping[str, str], kept: Mapping[str, str]) -> Vouched:
        """Complete it with the query that the browser came back with and what it has kept.

        Raises Unauthorised for an answer that does not hold, Transient if the provider does not answer.
        """
