"""Competitor mentions: Gong has no such type, only trackers that each company defines for itself.

Source: Gong's API reference, call content (`trackers`, `occurrences`, `phrases`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.gong import fields

SURE: Final = 0.9
LESS_SURE: Final = 0.7
MOST: Final = 1_000_000
"""Counts above it are nonsense, and as whole numbers might be too large to store."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """Which competitors a call named and who did: `external`, `internal`, `unknown`; None if nobody did.

    `confidence` is lower if only a smart tracker says so, without the words that it heard.
    """

    names: list[str]
    said_by: str | None
    confidence: float


def heard(call: dict[str, Any]) -> list[dict[str, Any]]:
    """The trackers that were heard on a call, as Gong sent them; it may list some with a count of 0."""
    trackers = fields.records(fields.record(call.get("content")).get("trackers"))
    return [tracker for tracker in trackers if count(tracker) > 0]


def count(tracker: dict[str, Any]) -> int:
    """How often a tracker or a phrase was heard; without a count, as often as the payload shows it."""
    given = fields.number(tracker.get("count"))
    if given is not None:
        return int(min(given, MOST))
    return len(_occurrences(tracker))


def mentions(call: dict[str, Any], competitors: Sequence[str]) -> Mentions:
    """The competitor mentions of a call; `competitors` are the ids or names of the trackers that mean one."""
    wanted = {item.casefold() for item in competitors}
    trackers = [tracker for tracker in heard(call) if wanted & set(_identities(tracker))]
    if not trackers:
        return Mentions([], None, SURE)
    names = distinct(name for tracker in trackers for name in _names(tracker))
    sure = any(_heard_phrases(tracker) or fields.word(tracker.get("type")) != "smart" for tracker in trackers)
    return Mentions(names, _said_by(call, trackers), SURE if sure else LESS_SURE)


def distinct(names: Iterable[str]) -> list[str]:
    """The names in their order, each once, whatever its case."""
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.casefold(), name)
    return list(found.values())


def _identities(tracker: dict[str, Any]) -> list[str]:
    return [found.casefold() for key in ("id", "name") if (found := fields.text(tracker.get(key)))]


def _names(tracker: dict[str, Any]) -> list[str]:
    phrases = _heard_phrases(tracker)
    if phrases:
        return phrases
    name = fields.text(tracker.get("name")) or fields.text(tracker.get("id"))
    return [name] if name else []


def _heard_phrases(tracker: dict[str, Any]) -> list[str]:
    phrases = fields.records(tracker.get("phrases"))
    return [
        found
        for phrase in phrases
        if (found := fields.text(phrase.get("phrase"))) and ("count" not in phrase or count(phrase) > 0)
    ]


def _occurrences(tracker: dict[str, Any]) -> list[dict[str, Any]]:
    # A keyword tracker that shows its terms separately has its occurrences in the phrases only.
    found = fields.records(tracker.get("occurrences"))
    for phrase in fields.records(tracker.get("phrases")):
        found += fields.records(phrase.get("occurrences"))
    return found


def _said_by(call: dict[str, Any], trackers: list[dict[str, Any]]) -> str:
    sides = {
        speaker: fields.word(party.get("affiliation"))
        for party in fields.records(call.get("parties"))
        if (speaker := fields.text(party.get("speakerId")))
    }
    heard_from = {
        sides.get(fields.text(occurrence.get("speakerId")) or "")
        for tracker in trackers
        for occurrence in _occurrences(tracker)
    }
    return next((side for side in ("external", "internal") if side in heard_from), "unknown")
