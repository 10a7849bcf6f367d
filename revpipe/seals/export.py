"""The chain with its records as lines of JSON, and verifying such a file where there is no ledger."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from revpipe.errors import Misconfigured
from revpipe.seals import canonical, chain
from revpipe.seals.chain import Entry, Seal
from revpipe.seals.records import Found, Name
from revpipe.seals.retired import Retired, of_acts
from revpipe.seals.verify import Finding, Report, Source, verify

VERSION: Final = 1


def lines(source: Source, now: datetime) -> Iterator[str]:
    """The export, a line at a time: a head, then each seal with its records behind it, then the anchor."""
    yield canonical.text({"revpipe_audit": VERSION, "exported_at": now})
    last: Seal | None = None
    for seal in source.seals():
        last = seal
        yield canonical.text({"seal": seal.header() | {"hash": seal.hash}, "entries": seal.entries})
        for (kind, key), one in sorted(source.records(_listed(seal)).items()):
            yield canonical.text({"kind": kind, "key": key, "record": one.record})
    yield canonical.text({"end": f"{last.number}:{last.hash}" if last else None})


def _listed(seal: Seal) -> list[Entry]:
    """Its entries; of one whose list was altered beyond reading, which verifying will tell, none."""
    try:
        return seal.listed()
    except (ValueError, TypeError):
        return []


class FileSource:
    """An export. Raises Misconfigured where a file is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[Name, Found] = {}
        head = next(self._read(), {})
        if head.get("revpipe_audit") != VERSION:
            raise Misconfigured(f"{path} is no export of `revpipe audit export` that this release can read")

    def end(self) -> str | None:
        """The anchor in its last line: the head of the chain when it was written. None if there is none."""
        last: Mapping[str, Any] = {}
        for line in self._read():
            last = line
        return last.get("end")

    def seals(self) -> Iterator[Seal]:
        """The seals in their order; the records of each are read with it."""
        seal: Seal | None = None
        for line in self._read():
            if "seal" in line:
                if seal:
                    yield seal
                seal, self._records = self._seal(line), {}
            elif "record" in line:
                self._records[(line["kind"], line["key"])] = Found(line["record"], None, None)
        if seal:
            yield seal

    def records(self, entries: Sequence[Entry]) -> Mapping[Name, Found]:  # noqa: ARG002
        """The records behind the seal that was given last."""
        return self._records

    def retired(self) -> Retired:
        """What the runs of `revpipe prune` in the file account for."""
        return of_acts(line["record"] for line in self._read() if line.get("kind") == "audit")

    def alive(self, parents: Collection[tuple[str, str]]) -> set[tuple[str, str]]:  # noqa: ARG002
        """None: a file does not tell which signals the ledger still has."""
        return set()

    def unsealed(self) -> Collection[Name]:
        """None: what is in no seal is not exported."""
        return ()

    def everything(self) -> Iterable[tuple[Name, datetime | None]]:
        """None, for the same reason."""
        return ()

    def _seal(self, line: Mapping[str, Any]) -> Seal:
        try:
            return chain.from_plain(line["seal"], str(line["entries"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Misconfigured(f"{self._path}: a seal can't be read: {error}") from error

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            with self._path.open(encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    found = json.loads(line)
                    if not isinstance(found, dict):
                        raise Misconfigured(f"{self._path}:{number}: no object")
                    yield found
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise Misconfigured(f"{self._path} can't be read: {error}") from error


def verify_file(path: Path, anchor: str | None = None) -> Report:
    """Verify an export; that nothing is missing at its end, too. Raises Misconfigured for a file that is none."""
    source = FileSource(path)
    report = verify(source, anchor)
    if source.end() != report.head:
        report.add(Finding("cut_off", "the end of the file is not that of its chain: some of it is missing"))
    return report
