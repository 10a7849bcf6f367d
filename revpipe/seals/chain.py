"""Seals as values: what one holds, how it is made, and how it hangs on the one before."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from revpipe.seals import canonical

FORMAT: Final = 1
"""Which fields a record of each kind has, and how it all is spelt. It grows when either changes."""
NOTHING: Final = "0" * 64
"""What the first seal hangs on."""
HEADER: Final = ("number", "format", "made_at", "first_at", "last_at", "count", "digest", "previous")
"""What a seal's hash is over."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record in a seal. `at` is the record's own time, `listed_at` when the ledger's server saw it become final.

    `parent` is the signal or action that it goes with when that is pruned. `digest` is empty for a record that was
    gone before it could be sealed.
    """

    kind: str
    key: str
    parent: str | None
    at: datetime
    listed_at: datetime
    digest: str

    def spelt(self) -> str:
        """Its line in the seal."""
        times = (canonical.stamp(self.at), canonical.stamp(self.listed_at))
        return canonical.text([self.kind, self.key, self.parent, *times, self.digest])


@dataclass(frozen=True, slots=True)
class Seal:
    """One link of the chain. `entries` has a line for each entry; `hash` is over all the rest."""

    number: int
    format: int
    made_at: datetime
    first_at: datetime
    last_at: datetime
    count: int
    digest: str
    previous: str
    hash: str
    entries: str

    def header(self) -> dict[str, Any]:
        """What the hash is over."""
        return {name: canonical.plain(getattr(self, name)) for name in HEADER}

    def listed(self) -> list[Entry]:
        """The entries. Raises ValueError where the text holds anything else."""
        return list(_entries(self.entries))


def make(number: int, previous: str, entries: Sequence[Entry], now: datetime) -> Seal:
    """The next seal, over at least one entry."""
    lines = "".join(entry.spelt() + "\n" for entry in entries)
    header: dict[str, Any] = {
        "number": number,
        "format": FORMAT,
        "made_at": now,
        "first_at": min(entry.at for entry in entries),
        "last_at": max(entry.at for entry in entries),
        "count": len(entries),
        "digest": canonical.sha256(lines),
        "previous": previous,
    }
    return Seal(**header, hash=hash_of(header), entries=lines)


def hash_of(header: Mapping[str, Any]) -> str:
    """The hash of a seal with this header."""
    return canonical.sha256(canonical.text(header))


def from_row(row: Mapping[str, Any]) -> Seal:
    """A seal out of the ledger."""
    return Seal(**{name: row[name] for name in (*HEADER, "hash", "entries")})


def from_plain(told: Mapping[str, Any], entries: str) -> Seal:
    """A seal out of an export. Raises KeyError or ValueError where that is none."""
    times = {name: canonical.moment(told[name]) for name in ("made_at", "first_at", "last_at")}
    numbers = {name: int(told[name]) for name in ("number", "format", "count")}
    texts = {name: str(told[name]) for name in ("digest", "previous", "hash")}
    return Seal(
        number=numbers["number"],
        format=numbers["format"],
        made_at=times["made_at"],
        first_at=times["first_at"],
        last_at=times["last_at"],
        count=numbers["count"],
        digest=texts["digest"],
        previous=texts["previous"],
        hash=texts["hash"],
        entries=entries,
    )


def faults(seal: Seal, number: int, previous: str) -> Iterator[str]:
    """What is wrong with a seal that should have this number and hang on the seal with the hash `previous`."""
    if seal.number != number:
        yield f"seal {number} is not there" if seal.number == number + 1 else f"seals from {number} on are not there"
    elif seal.previous != previous:
        yield "it does not hang on the seal before it, so that one was altered or put in its place"
    if seal.hash != hash_of(seal.header()):
        yield "its hash is not that of its contents"
    if seal.digest != canonical.sha256(seal.entries) or seal.count != seal.entries.count("\n"):
        yield "its list of records was altered"
    if seal.format > FORMAT:
        yield f"it is of format {seal.format}, which only a later release can read"


def _entries(lines: str) -> Iterator[Entry]:
    for line in lines.removesuffix("\n").split("\n"):
        kind, key, parent, at, listed_at, digest = json.loads(line)
        yield Entry(kind, key, parent, canonical.moment(at), canonical.moment(listed_at), digest)
