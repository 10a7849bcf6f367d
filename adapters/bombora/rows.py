"""One row: what a company read about one topic in one week, compared with what it usually reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from adapters.bombora import weeks
from adapters.bombora.columns import Columns
from adapters.bombora.domains import NO_COMPANY, domain
from revpipe.errors import BadPayload

SURGE: Final = 60
"""From this composite score on Bombora speaks of a surge (Bombora, "Understanding Company Surge Scores")."""
BELOW: Final = "below_threshold"
NO_SCORE: Final = "no_score"
NOBODY: Final = "no_company"
LONGEST_TOPIC: Final = 200
LONGEST_DETAIL: Final = 1000
_DETAILS: Final = ("company_name", "topic_id", "category", "theme", "industry", "size", "revenue", "metro", "country")


@dataclass(frozen=True, slots=True)
class Row:
    """A row that could be read. `suppressed` says why it is no surge, None if it is one."""

    domain: str
    topic: str
    week: date
    score: int
    payload: dict[str, Any]
    suppressed: str | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it: topics are lower case in old files and in title case in later ones."""
        return self.week.isoformat(), self.domain, self.topic.casefold()


def read(cells: Sequence[str], columns: Columns, week: date | None) -> Row:
    """A row of a file whose rows, where they don't say it, are of `week`. Raises BadPayload."""
    if len(cells) != columns.width:
        raise BadPayload("column_count", f"{len(cells)} columns instead of {columns.width}; look for stray quotes")
    host = domain(columns.value(cells, "domain"))
    topic = _topic(columns.value(cells, "topic"))
    score = _score(columns.value(cells, "score"))
    own = columns.value(cells, "week")
    found = weeks.week(own) if own else week
    if found is None:
        raise BadPayload("no_week", "the row has no date, and neither have the request and the file's name")
    details = {name: value[:LONGEST_DETAIL] for name in _DETAILS if (value := columns.value(cells, name))}
    payload: dict[str, Any] = {"domain": host, "topic": topic, "score": score, "week": found.isoformat(), **details}
    payload |= _delta(columns.value(cells, "score_delta"))
    return Row(host, topic, found, score or 0, payload, _suppressed(host, score))


def _suppressed(host: str, score: int | None) -> str | None:
    if score is None:
        return NO_SCORE
    if score < SURGE:
        return BELOW
    return NOBODY if host in NO_COMPANY else None


def _topic(word: str) -> str:
    topic = " ".join(word.split())
    if not topic or len(topic) > LONGEST_TOPIC:
        raise BadPayload("bad_topic", f"the topic must have 1 to {LONGEST_TOPIC} characters")
    return topic


def _score(word: str) -> int | None:
    if not word:
        return None
    score = _number(word)
    if score is None or not 0 <= score <= 100:
        raise BadPayload("bad_score", f"{word[:40]!r} is no score from 0 to 100")
    return score


def _delta(word: str) -> dict[str, Any]:
    """The difference from the last week; `New` where there was no score (Bombora, Surge report API)."""
    if word.casefold() == "new":
        return {"is_new": True}
    delta = _number(word)
    return {"score_delta": delta, "is_new": False} if delta is not None else {}


def _number(word: str) -> int | None:
    """A whole number (`78`, `78.0`, `+3`), else None."""
    try:
        return int(word) if len(word) < 10 else None
    except ValueError:
        whole, _, rest = word.partition(".")
        return _number(whole) if rest and not rest.strip("0") else None
