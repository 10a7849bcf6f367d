"""The retry decision as a value: from an error, the number of the attempt and a policy to what happens next."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from revpipe.errors import CredentialsRefused, EffectUnknown, NewerVersion, Permanent, RateLimited, Transient
from revpipe.time_scale import shortened

SHORTEST_WAIT: Final = 0.1
LONGEST_RETRY_AFTER: Final = 3600.0
CREDENTIALS_WAIT: Final = timedelta(minutes=5)
CIRCUIT_WAIT: Final = timedelta(minutes=10)
"""When what waits for a circuit is tried all the same: in case that nobody wakes it. The keeper does so much sooner."""
NEWER_WAIT: Final = timedelta(seconds=60)
"""How soon a row that only a later release can read is offered again, in the hope that one of its workers takes it."""
_LARGEST_EXPONENT: Final = 62


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again, not before `due`. `reason` is the error's code."""

    due: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Park:
    """Wait in the ledger until `until`, or until the circuit `waits_for` lets calls through; it burns no attempt."""

    until: datetime
    reason: str
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class Bury:
    """Trying again can't help: make a dead letter with `reason`."""

    reason: str


Decision = RetryAt | Park | Bury


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard a queue's work is tried. `backoff` and `cap` are seconds; see `config.queues.Queue`."""

    attempts: int
    backoff: float
    cap: float

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 < self.backoff <= self.cap:
            raise ValueError(f"{self} needs at least one attempt and 0 < backoff <= cap")


def decide(
    error: Exception,
    attempt: int,
    policy: Policy,
    now: datetime,
    rng: Callable[[], float] = random.random,
) -> Decision:
    """What to do after attempt number `attempt` (from 1) ended with `error` at `now`.

    `rng` gives numbers from 0 up to 1 and spreads the waits. A Transient, a RateLimited among them, is never
    buried: when the attempts are used up it is parked, since a vendor's outage is no fault of the work; how long
    it may wait in all is the caller's to say. What failed by an open circuit waits for that circuit, at any
    attempt: it was not tried at all, or its vendor fails with everybody. But what again and again opens a circuit
    that others find closed is refused for what it asks itself, and buried when its attempts are used up. Any
    exception that is not one of ours is a bug: it is tried like a Transient and then buried under its class name.

    EffectUnknown is not for this function: the caller must stop the action in `unknown`, and any answer from
    here could send it a second time. Raises ValueError for it, and for an attempt below 1.
    """
    if isinstance(error, EffectUnknown):
        raise ValueError("an unknown effect is not retried; the action stops in `unknown`")
    if attempt < 1:
        raise ValueError(f"attempts count from 1, not {attempt}")
    if isinstance(error, Permanent):
        return Bury(error.code)
    if isinstance(error, NewerVersion):
        return Park(now + NEWER_WAIT, error.code)
    if isinstance(error, CredentialsRefused) and error.opened and attempt >= policy.attempts:
        return Bury(error.code)
    if isinstance(error, Transient | CredentialsRefused) and error.circuit:
        return Park(now + shortened(CIRCUIT_WAIT), error.code, error.circuit)
    if isinstance(error, CredentialsRefused):
        return Park(now + shortened(CREDENTIALS_WAIT), error.code)
    used_up = attempt >= policy.attempts
    if isinstance(error, RateLimited):
        at = now + _wait_as_told(error, attempt, policy, rng)
        return Park(at, error.code) if used_up else RetryAt(at, error.code)
    reason = error.code if isinstance(error, Transient) else _name(error)
    if not used_up:
        return RetryAt(now + timedelta(seconds=_backoff(attempt, policy, rng)), reason)
    if isinstance(error, Transient):
        # Up to a tenth earlier than the cap, so that what was parked together does not come back together.
        return Park(now + timedelta(seconds=max(SHORTEST_WAIT, policy.cap * (1 - 0.1 * rng()))), reason)
    return Bury(reason)


def _wait_as_told(error: RateLimited, attempt: int, policy: Policy, rng: Callable[[], float]) -> timedelta:
    if error.retry_after is None:
        return timedelta(seconds=_backoff(attempt, policy, rng))
    # Up to a tenth later than asked, so that all who were refused together don't come back together.
    seconds = error.retry_after * (1 + 0.1 * rng())
    if not seconds > SHORTEST_WAIT:
        seconds = SHORTEST_WAIT
    return timedelta(seconds=min(seconds, LONGEST_RETRY_AFTER))


def _backoff(attempt: int, policy: Policy, rng: Callable[[], float]) -> float:
    doubled = policy.backoff * 2.0 ** min(attempt - 1, _LARGEST_EXPONENT)
    return max(SHORTEST_WAIT, min(doubled, policy.cap) * (0.5 + 0.5 * rng()))


def _name(error: Exception) -> str:
    return f"error:{type(error).__name__}"
