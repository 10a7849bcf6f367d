"""What stands in the way of one subject's next action, at any time of a simulated past."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from revpipe.models.action import OPEN
from revpipe.plan_history import LOOK_BACK, Known


@dataclass(frozen=True, slots=True)
class Course:
    """One action through time: open until `until` (None: still open), then in state `became`."""

    action: Mapping[str, Any]
    until: datetime | None
    became: str

    def seen(self, at: datetime) -> Mapping[str, Any]:
        """The action as its row said, or would have said, at that time."""
        still_open = self.until is None or at < self.until
        return {**self.action, "state": "ready" if still_open else self.became}


@dataclass(slots=True)
class Timeline:
    """The actions of one subject: those that the ledger held before the period, then the simulated ones."""

    courses: list[Course] = field(default_factory=list)

    def known(self, at: datetime, signals_7d: int, cooldown: timedelta = LOOK_BACK) -> Known:
        """What the stage would have read of this subject at that time, as far back as the longest `cooldown`."""
        seen = [course.seen(at) for course in reversed(self.courses) if course.action["created_at"] <= at]
        since = at - max(LOOK_BACK, cooldown)
        found = [one for one in seen if one["state"] in OPEN or one["created_at"] > since]
        return Known(found, signals_7d, since=at - LOOK_BACK)


def really(action: Mapping[str, Any]) -> Course:
    """The course that an action of the ledger took."""
    if action["state"] in OPEN:
        return Course(action, None, "done")
    return Course(action, action["done_at"] or action["created_at"], action["state"])
