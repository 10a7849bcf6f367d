"""What the dispatcher asks a broker beside taking messages, whichever broker it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from revpipe.ports import DeadMessage

SENT: Final = "revpipe_sent"
"""The message header with the time of sending, in seconds since 1970."""
PATIENCE: Final = 2.0
"""Seconds that anyone who publishes or asks waits for the broker at the most."""
NEVER: Final = datetime.fromtimestamp(0, UTC)


class Broker(Protocol):
    """One broker as the dispatcher sees it. Every answer comes within seconds or is a Transient error."""

    errors: tuple[type[Exception], ...]
    """What Celery raises when this broker did not take a message."""
    connections: int
    """How many connections of its own it may hold; plans count them."""

    def waiting(self, queue: str) -> int:
        """How many messages wait in the queue. Raises Transient."""

    def turn(self, queue: str, seconds: float) -> bool:
        """Whether no turn of the queue lasts any more; if so one begins, and lasts so long. Raises Transient."""

    def prolong(self, queue: str, seconds: float) -> None:
        """Let the turn of the queue last so long from now on. Raises Transient."""

    def oldest(self, queue: str) -> datetime | None:
        """A time such that the queue has moved past all that was sent before it, None if it has moved past all.

        Raises Transient.
        """

    def epoch(self) -> str | None:
        """The mark of the broker's present life, None once it lost what it held. Raises Transient."""

    def begin_epoch(self) -> str:
        """Mark the broker's present life anew. Raises Transient."""

    def put_dead(self, dead: DeadMessage) -> None:
        """Put a message aside that no worker can run. Raises Transient, and NoRoom when it must not be kept here."""

    def take_dead(self, limit: int) -> Sequence[DeadMessage]:
        """At most `limit` messages that were put aside; they stay until forgotten. Raises Transient."""

    def forget_dead(self, messages: Sequence[DeadMessage]) -> None:
        """Remove messages that were taken and are in the ledger now. Raises Transient."""

    def close(self) -> None:
        """Give its connections up; the next question opens them again."""


def sent_at(headers: Any) -> datetime:
    """When a message with these headers was sent; one that doesn't tell counts as very old.

    So that a stranger's message at the head of a queue is never taken as proof that ours were lost.
    """
    try:
        return datetime.fromtimestamp(float(headers[SENT]), UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return NEVER
