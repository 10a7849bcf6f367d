"""Seals and records of the ledger itself, all read in one snapshot."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Engine

from revpipe.db import sql, transaction
from revpipe.seals import chain, records
from revpipe.seals.chain import Entry, Seal
from revpipe.seals.kinds import KINDS
from revpipe.seals.records import Found, Name
from revpipe.seals.retired import Retired, of_acts

PAGE: Final = 50
"""Seals to a statement."""
_PAGE: Final = f"SELECT * FROM seals WHERE number > :behind ORDER BY number LIMIT {PAGE}"  # noqa: S608


class LedgerSource:
    """One look at the ledger: nothing that is sealed or decided meanwhile can seem to be wrong."""

    def __init__(self, tx: Connection) -> None:
        self._tx = tx

    def seals(self) -> Iterator[Seal]:
        """The seals in their order, in pages."""
        behind = -1
        while rows := self._tx.execute(sql(_PAGE), {"behind": behind}).mappings().all():
            yield from (chain.from_row(dict(row)) for row in rows)
            behind = rows[-1]["number"]

    def records(self, entries: Sequence[Entry]) -> Mapping[Name, Found]:
        """The records of these entries, as far as they are there."""
        return records.read(self._tx, ((entry.kind, entry.key) for entry in entries))

    def retired(self) -> Retired:
        """What the recorded runs of `revpipe prune` account for."""
        return of_acts(found.record for _, found in records.everything(self._tx, "audit"))

    def alive(self, parents: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these (kind, parent) pairs whose signal or action is still there."""
        return records.alive(self._tx, parents)

    def unsealed(self) -> Collection[Name]:
        """What is final and waits for its seal."""
        return [(row.kind, row.key) for row in self._tx.execute(sql("SELECT kind, key FROM unsealed"))]

    def everything(self) -> Iterator[tuple[Name, datetime | None]]:
        """Every record that is a row, with its own time."""
        for kind in KINDS:
            for key, found in records.everything(self._tx, kind):
                yield (kind, key), found.at


@contextmanager
def snapshot(engine: Engine) -> Iterator[LedgerSource]:
    """The ledger as it is now, for as long as the block takes."""
    with transaction(engine) as tx:
        tx.execute(sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield LedgerSource(tx)
