"""The sealer: takes what has become final into the chain, batch by batch. One at a time, and nobody waits for it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import bulk
from revpipe.db import sql, transaction
from revpipe.seals import canonical, chain, records
from revpipe.seals.chain import Entry
from revpipe.services import Services

BATCH: Final = 500
"""Records to a seal at the most: some tenths of a second."""
LONGEST: Final = 20.0
"""Seconds that one run takes at the most, so that the timetable's other work has its turn."""
LOCK: Final = 6_204_917_355

_WAITING: Final = f"SELECT unsealed_id, kind, key, queued_at FROM unsealed ORDER BY unsealed_id LIMIT {BATCH}"  # noqa: S608
_HEAD: Final = "SELECT number, hash FROM seals ORDER BY number DESC LIMIT 1"


def run(services: Services, seconds: float = LONGEST) -> int:
    """Seal what waits, until nothing does or the time is up; returns how many records, 0 while another one seals.

    It rests for as long as it works, since nobody waits for it, and others of its process and of the ledger do.
    """
    until = time.monotonic() + seconds
    sealed = 0
    while (began := time.monotonic()) < until:
        with transaction(services.engine) as tx:
            some = batch(tx, services)
        sealed += some
        if some < BATCH:
            break
        time.sleep(time.monotonic() - began)
    return sealed


def batch(tx: Connection, services: Services) -> int:
    """Make one seal of the oldest that waits; returns how many records are in it.

    What a transaction lists while we read is listed behind us or not yet to be seen: it is taken by a later seal,
    and since what was taken is deleted by its number nothing is passed over.
    """
    if not tx.execute(sql("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": LOCK}).scalar():
        return 0
    waiting = [dict(row) for row in tx.execute(sql(_WAITING)).mappings()]
    if not waiting:
        return 0
    head = tx.execute(sql(_HEAD)).first()
    number, previous = (head.number + 1, head.hash) if head else (1, chain.NOTHING)
    seal = chain.make(number, previous, entries(tx, waiting), services.clock.now())
    bulk.insert(tx, "seals", [{name: getattr(seal, name) for name in (*chain.HEADER, "hash", "entries")}])
    tx.execute(
        sql("DELETE FROM unsealed WHERE unsealed_id = ANY(:ids)"), {"ids": [row["unsealed_id"] for row in waiting]}
    )
    return len(waiting)


def entries(tx: Connection, waiting: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """An entry for each that waits; one that is gone already gets no digest, which tells that it was there."""
    found = records.read(tx, ((row["kind"], row["key"]) for row in waiting))
    made: list[Entry] = []
    for row in waiting:
        kind, key, listed_at = row["kind"], row["key"], row["queued_at"]
        one = found.get((kind, key))
        if one is None:
            made.append(Entry(kind, key, None, listed_at, listed_at, ""))
        else:
            digest = canonical.digest(kind, key, one.record)
            made.append(Entry(kind, key, one.parent, one.at or listed_at, listed_at, digest))
    return made


def waits(tx: Connection) -> int:
    """How many records are final and in no seal yet."""
    return int(tx.execute(sql("SELECT count(*) FROM unsealed")).scalar_one())
