"""For crash tests: a process kills itself at a named place, as the kernel would."""

import os
import signal
from collections.abc import Iterable, Mapping
from typing import Any, Final

from revpipe.errors import Misconfigured

_STAGES: Final = ("enrich", "decide", "execute")
POINTS: Final = (
    "ingest.written",
    "ingest.stored",
    "feed.stamped",
    "feed.sent",
    *(f"{stage}.{step}" for stage in _STAGES for step in ("claimed", "worked", "written", "recorded", "handed_on")),
    *(f"act.{step}" for step in ("claimed", "looked", "before_effect", "after_effect", "written", "recorded")),
    "act.handed_on",
    *(f"notify.{step}" for step in ("claimed", "before_effect", "after_effect", "written", "recorded")),
    *(f"recheck.{step}" for step in ("claimed", "worked", "written", "recorded")),
    "llm.answered",
    "sweep.written",
    "approval.written",
)
"""Every boundary between two steps. `written` is the last moment before a commit, `recorded` (`stored`, `stamped`)
the first after it; `handed_on` lies between the publishing of the next link and the acknowledgement."""

_armed: str | None = None
_subject: str | None = None


def arm(point: str | None) -> None:
    """Let this process die at `point` (setting REVPIPE_CRASH_POINT); None disarms.

    `point@deal` dies only if a row of that deal is in work: a poisoned signal. Raises Misconfigured for a
    point that does not exist.
    """
    global _armed, _subject
    name, _, subject = (point or "").partition("@")
    if name and name not in POINTS:
        raise Misconfigured(f"REVPIPE_CRASH_POINT: there is no {name!r}; there are: {', '.join(POINTS)}")
    _armed, _subject = name or None, subject or None


def crash_point(name: str, rows: Iterable[Mapping[str, Any]] = ()) -> None:
    """Die here by SIGKILL if armed for `name`: nothing after this line runs, nothing is cleaned up.

    `rows` are the rows in work, signals or actions.
    """
    if _armed == name and (_subject is None or any(row["deal_id"] == _subject for row in rows)):
        os.kill(os.getpid(), signal.SIGKILL)
