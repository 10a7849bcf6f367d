"""What retention has let go of, as the sealed acts of `revpipe prune` tell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.retention import FOREVER
from revpipe.seals import canonical
from revpipe.seals.chain import Entry
from revpipe.seals.kinds import KINDS, MONTH

RUN: Final = "prune"
DROPPED: Final = "prune month"
"""The command under which the drop of a month is recorded, in the transaction that drops it."""


@dataclass(frozen=True, slots=True)
class Retired:
    """`limit`: signals that ended before it may be gone with all that is theirs. `months` are partitions dropped."""

    limit: datetime | None
    months: frozenset[str]

    def may_be_gone(self, entry: Entry) -> bool:
        """Whether retention accounts for a record that is not there. Of what people did by hand nothing ever goes."""
        if entry.kind == MONTH:
            return entry.key in self.months
        if entry.kind not in KINDS or KINDS[entry.kind].parents is None:
            return False
        return self.limit is not None and entry.at < self.limit


def of_acts(acts: Iterable[Mapping[str, Any]]) -> Retired:
    """What these records of `audit` account for; those of other commands are passed over."""
    limits: list[datetime] = []
    months: set[str] = set()
    for act in acts:
        detail = act["detail"] if isinstance(act.get("detail"), Mapping) else {}
        if act.get("command") == DROPPED:
            months.add(str(detail.get("month")))
        elif act.get("command") == RUN and (limit := _limit(act["at"], detail)):
            limits.append(limit)
    return Retired(max(limits, default=None), frozenset(months))


def _limit(at: Any, detail: Mapping[str, Any]) -> datetime | None:
    told = (detail.get("retention") or {}).get("signals", FOREVER)
    try:
        made_at = at if isinstance(at, datetime) else canonical.moment(str(at))
        return None if told == FOREVER else made_at - duration(told, "signals")
    except (Misconfigured, ValueError, OverflowError):
        return None
