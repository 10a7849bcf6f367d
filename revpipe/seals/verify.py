"""Verifying: the chain is walked, every record spelt anew, and what does not fit is named."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from revpipe.seals import canonical, chain
from revpipe.seals.chain import Entry, Seal
from revpipe.seals.kinds import BEGAN
from revpipe.seals.records import Found, Name
from revpipe.seals.retired import Retired

LATE: Final = timedelta(hours=1)
"""By how much a record may be dated before it came: work may be held up, and clocks differ."""
NAMED: Final = 1000
"""How many findings are named one by one; further ones are counted."""
_FREE: Final = (BEGAN, "audit_outcome")
"""Kinds whose own time says nothing of when they came: a command is dated by its beginning."""
_AS_PLANNED: Final = "@1"
"""How the key of an approval's first version ends: it is dated by the plan, and kept from the first edit on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit. `what` is altered, missing, added, backdated, broken or cut_off."""

    what: str
    text: str
    seal: int | None = None
    kind: str | None = None
    key: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {name: getattr(self, name) for name in ("what", "text", "seal", "kind", "key")}


@dataclass(slots=True)
class Report:
    """What a walk found. `pruned` counts records that retention let go, by kind; `months` are such partitions.

    `older` counts records from before the chain began, of which it says nothing. `head` is the anchor to keep
    elsewhere: the last seal as NUMBER:HASH, None of an empty chain.
    """

    seals: int = 0
    records: Counter[str] = field(default_factory=Counter)
    pruned: Counter[str] = field(default_factory=Counter)
    months: list[str] = field(default_factory=list)
    waiting: int = 0
    older: int = 0
    began: datetime | None = None
    head: str | None = None
    findings: list[Finding] = field(default_factory=list)
    found: int = 0

    def add(self, *findings: Finding) -> None:
        """Count findings, and name them as long as there is room."""
        self.found += len(findings)
        self.findings += findings[: max(NAMED - len(self.findings), 0)]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        told = {name: getattr(self, name) for name in ("seals", "months", "waiting", "older", "began", "head", "found")}
        counts = {"records": dict(self.records), "pruned": dict(self.pruned)}
        return {"ok": not self.found, **told, **counts, "findings": [one.as_dict() for one in self.findings]}


class Source(Protocol):
    """Where seals and records are: the ledger, or an export of it."""

    def seals(self) -> Iterator[Seal]:
        """The seals in their order. Raises ValueError where something is none."""
        ...

    def records(self, entries: Sequence[Entry]) -> Mapping[Name, Found]:
        """The records of the seal that was given last, as far as they are there."""
        ...

    def retired(self) -> Retired:
        """What retention let go of."""
        ...

    def alive(self, parents: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these (kind, parent) pairs whose signal or action is still there."""
        ...

    def unsealed(self) -> Collection[Name]:
        """What is final and waits for its seal."""
        ...

    def everything(self) -> Iterable[tuple[Name, datetime | None]]:
        """Every record that is there, with its own time."""
        ...


def verify(source: Source, anchor: str | None = None) -> Report:
    """Walk the whole chain. `anchor` is a seal noted elsewhere, as NUMBER:HASH or its hash alone."""
    report = Report()
    retired = source.retired()
    held: set[int] = set()
    previous, number, anchored = chain.NOTHING, 1, False
    for seal in source.seals():
        report.add(
            *(Finding("broken", f"seal {seal.number}: {one}", seal.number) for one in _faults(seal, number, previous))
        )
        anchored = anchored or (anchor is not None and _is(seal, anchor))
        previous, number = seal.hash, seal.number + 1
        report.seals, report.head = report.seals + 1, f"{seal.number}:{seal.hash}"
        _contents(source, seal, retired, report, held)
    if anchor is not None and not anchored:
        text = f"the seal {anchor} that was noted is not in the chain, which ends with {report.head or 'nothing'}"
        report.add(Finding("cut_off", text + ": its end was cut off, or it was made anew"))
    _added(source, report, held)
    return report


def _faults(seal: Seal, number: int, previous: str) -> list[str]:
    return list(chain.faults(seal, number, previous))


def _is(seal: Seal, anchor: str) -> bool:
    number, _, digest = anchor.rpartition(":")
    return digest == seal.hash and number in ("", str(seal.number))


def _contents(source: Source, seal: Seal, retired: Retired, report: Report, held: set[int]) -> None:
    try:
        entries = seal.listed()
    except (ValueError, TypeError):
        report.add(Finding("broken", f"seal {seal.number}: its list can't be read", seal.number))
        return
    found = source.records(entries)
    missing: list[Entry] = []
    for entry in entries:
        report.records[entry.kind] += 1
        if entry.kind == BEGAN and report.began is None:
            report.began = entry.at
        if _late(entry):
            report.add(_finding("backdated", entry, seal, _backdated(entry)))
        one = found.get((entry.kind, entry.key))
        if one is None:
            missing.append(entry)
            continue
        held.add(_short(entry.kind, entry.key))
        if canonical.digest(entry.kind, entry.key, one.record) != entry.digest:
            report.add(_finding("altered", entry, seal, "is not what was sealed"))
    for kind, key in found.keys() - {(entry.kind, entry.key) for entry in entries}:
        report.add(
            Finding(
                "added", f"{_words(kind)} {key} is behind seal {seal.number}, but not in it", seal.number, kind, key
            )
        )
    _gone(source, seal, missing, retired, report)


def _late(entry: Entry) -> bool:
    free = entry.kind in _FREE or (entry.kind == "approval_version" and entry.key.endswith(_AS_PLANNED))
    return not free and entry.at < entry.listed_at - LATE


def _gone(source: Source, seal: Seal, missing: Sequence[Entry], retired: Retired, report: Report) -> None:
    """What is not there: let go by retention, or missing."""
    old = [entry for entry in missing if retired.may_be_gone(entry)]
    there = source.alive({(entry.kind, entry.parent) for entry in old if entry.parent})
    for entry in missing:
        if entry in old and (entry.kind, entry.parent) not in there:
            report.pruned[entry.kind] += 1
            if entry.kind == "month":
                report.months.append(entry.key)
        else:
            report.add(_finding("missing", entry, seal, _why_missing(entry)))


def _added(source: Source, report: Report, held: set[int]) -> None:
    """What is there and was never listed. What is older than the chain was never to be."""
    waiting = set(source.unsealed())
    report.waiting = len(waiting)
    if report.began is None:
        report.began = next((canonical.at_micros(int(key)) for kind, key in waiting if kind == BEGAN), None)
    for name, at in source.everything():
        if _short(*name) in held or name in waiting:
            continue
        if report.began is not None and at is not None and at < report.began:
            report.older += 1
        else:
            kind, key = name
            text = f"{_words(kind)} {key} is in no seal, and was not listed for one when it came"
            report.add(Finding("added", text, None, kind, key))


def _short(kind: str, key: str) -> int:
    """A name in eight bytes, for there are many of them."""
    return int(canonical.sha256(f"{kind}:{key}")[:16], 16)


def _finding(what: str, entry: Entry, seal: Seal, text: str) -> Finding:
    named = f"{_words(entry.kind)} {entry.key} of seal {seal.number} {text}"
    return Finding(what, named, seal.number, entry.kind, entry.key)


def _backdated(entry: Entry) -> str:
    return f"is dated {canonical.stamp(entry.at)}, but came at {canonical.stamp(entry.listed_at)}"


def _why_missing(entry: Entry) -> str:
    was = "is not there, and no retention accounts for it"
    return was if entry.digest else f"was gone before it could be sealed, and {was.partition(', and ')[2]}"


def _words(kind: str) -> str:
    return kind.replace("_", " ")
