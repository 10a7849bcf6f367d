"""Signals as they were when they were decided, batch by batch: what a simulation goes through."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from revpipe.cases import Case
from revpipe.simulating.timeline import Course


@dataclass(frozen=True, slots=True)
class Past:
    """One signal with its context, and the time at which it was decided.

    `real` holds, by id, the actions that its plan really had and that nothing stood in the way of.
    """

    case: Case
    at: datetime
    signals_7d: int = 0
    real: Mapping[uuid.UUID, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Signals in the order of their decisions. `before` holds what was there of subjects that come up first here."""

    pasts: list[Past]
    before: Mapping[str, list[Course]] = field(default_factory=dict)
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """One of several equal parts of all subjects: whoever works on it sees all signals of each of them."""

    number: int = 0
    of: int = 1


class Source(Protocol):
    """Where signals of the past come from."""

    def batches(self, share: Share) -> Iterator[Batch]:
        """The signals of a share, in the order in which they were decided."""
