"""Files of bulk data into the ledger: batch by batch, each in a transaction and a delivery of its own.

A signal's id follows from what its row says, so a file that broke off is simply sent again: what is there already
counts as a duplicate, the rest goes in. Every batch keeps its raw rows as the body of its delivery, so that each
signal and each refused row leads back to what was sent.
"""

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import bindparam

from revpipe import arrivals, counters, feed, ingest
from revpipe.arrivals import Arrival, Receipt, Sorted
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import BadPayload
from revpipe.ids import uuid7
from revpipe.observability import bind_correlation
from revpipe.ports import Accepted, Delivery, FileSource, InboundRequest, Refused
from revpipe.services import Services

log = structlog.get_logger(__name__)

MOST_REJECTED: Final = 100
"""Rows of one file that may be unreadable. Beyond it the file itself is at fault, and is better mended than buried."""
TOLD_AT_MOST: Final = 3


@dataclass(slots=True)
class Import:
    """One file on its way in. `rows` is the sum of accepted, duplicates, rejected and all that is ignored."""

    import_id: uuid.UUID
    deliveries: int = 0
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    """Rows that make no signal, by reason."""

    def as_dict(self) -> dict[str, Any]:
        """For answers to those who sent it."""
        counts = {name: getattr(self, name) for name in ("rows", "accepted", "duplicates", "rejected")}
        return {"import_id": str(self.import_id), **counts, "ignored": dict(self.ignored)}


class FileRefused(Exception):
    """A file can't be read, or not to its end; what came before that is in the ledger. `reason` is a stable code."""

    def __init__(self, reason: str, detail: str, done: Import) -> None:
        super().__init__(detail)
        self.reason = reason
        self.done = done

    @property
    def advice(self) -> str:
        """What is wrong, what is in already, and what to do."""
        before = f" {self.done.rows:,} rows before that are in." if self.done.rows else " Nothing was taken in."
        return f"{self}.{before} Mend the file and send it again whole: no row is taken twice."


class Sieve:
    """A source of files that keeps back the rows that are only to be counted: `ignored`, by reason."""

    def __init__(self, source: FileSource) -> None:
        self.name = source.name
        self.ignored: Counter[str] = Counter()
        self._source = source

    def verify(self, request: InboundRequest) -> None:
        """As the source does."""
        self._source.verify(request)

    def normalise(self, delivery: Delivery) -> Iterator[Accepted | Refused]:
        """What the source finds, without those rows."""
        for one in self._source.normalise(delivery):
            if isinstance(one, Accepted) and one.suppressed in self._source.only_counted:
                self.ignored[str(one.suppressed)] += 1
            else:
                yield one


def take(
    source: FileSource,
    pieces: Iterable[bytes],
    services: Services,
    options: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Import:
    """Take a file in. Once this returns, all of its rows are in the ledger or counted.

    `options` are the source's own (`week`, `file`: its name); `headers` those of the request, if there was one.
    Raises FileRefused for what the sender can mend, and whatever reading the file or the database raises; batches
    that were stored before stay.
    """
    options = options or {}
    run, seen = Import(uuid7()), hashlib.sha256()
    _begin(run, source.name, options.get("file"), services)
    state, reason, sha = "broken", "", None
    with bind_correlation(run.import_id):
        try:
            target = source.target(options)
            for batch in source.batches(_watched(pieces, seen), target):
                request = InboundRequest("POST", target, headers or {}, batch.body, _now(services))
                _take_batch(source, batch.rows, request, run, services)
            state, sha = "done", seen.hexdigest()
        except BadPayload as error:
            state, reason = "refused", error.reason
            raise FileRefused(error.reason, error.detail or error.reason, run) from error
        except BaseException as error:
            reason = type(error).__name__
            raise
        finally:
            _end(run, state, reason or None, sha, services)
    if run.duplicates:
        counters.add(services.engine, f"duplicates:{source.name}", _now(services), run.duplicates)
    return run


def _take_batch(source: FileSource, rows: int, request: InboundRequest, run: Import, services: Services) -> None:
    delivery = Delivery(uuid7(), run.import_id, source.name, request)
    sieve = Sieve(source)
    found = ingest.normalise(sieve, delivery)
    _check_faults(found, run)
    with transaction(services.engine) as tx:
        (receipt,) = arrivals.store(tx, [Arrival(delivery, found)], services)
        after = _added(run, rows, receipt, sieve.ignored)
        _write(tx, after, request.received_at)
        crash_point("ingest.written")
    for name in ("deliveries", "rows", "accepted", "duplicates", "rejected", "ignored"):
        setattr(run, name, getattr(after, name))
    crash_point("ingest.stored")
    # Once for all of its rows: the feed takes as many as there is room for, the keeper the rest.
    feed.offer(services, receipt.queues)


def _check_faults(found: Sorted, run: Import) -> None:
    """Raise BadPayload if this batch makes too many bad rows of one file, before anything of it is stored."""
    if run.rejected + len(found.refused) <= MOST_REJECTED:
        return
    faults = Counter(f"{one.reason} ({one.detail})" for one in found.refused).most_common(TOLD_AT_MOST)
    told = "; ".join(f"{count} × {fault}" for fault, count in faults)
    raise BadPayload("too_many_bad_rows", f"more than {MOST_REJECTED} rows can't be read, most of all {told}")


def _added(run: Import, rows: int, receipt: Receipt, ignored: Counter[str]) -> Import:
    return Import(
        run.import_id,
        run.deliveries + 1,
        run.rows + rows,
        run.accepted + receipt.accepted,
        run.duplicates + receipt.duplicates,
        run.rejected + receipt.rejected,
        run.ignored + ignored,
    )


def _watched(pieces: Iterable[bytes], seen: Any) -> Iterator[bytes]:
    for piece in pieces:
        seen.update(piece)
        yield piece


def _begin(run: Import, source: str, name: str | None, services: Services) -> None:
    with transaction(services.engine) as tx:
        tx.execute(
            text(
                "INSERT INTO imports (import_id, source, name, ignored, began_at, touched_at)"
                " VALUES (:id, :source, :name, '{}', :now, :now)"
            ),
            {"id": run.import_id, "source": source, "name": name, "now": _now(services)},
        )


def _write(tx: Connection, run: Import, now: datetime) -> None:
    tx.execute(
        text(
            "UPDATE imports SET deliveries = :deliveries, rows = :rows, accepted = :accepted,"
            " duplicates = :duplicates, rejected = :rejected, ignored = :ignored, touched_at = :now"
            " WHERE import_id = :import_id"
        ).bindparams(bindparam("ignored", type_=JSONB)),
        {"now": now, **{name: getattr(run, name) for name in Import.__slots__}, "ignored": dict(run.ignored)},
    )


def _end(run: Import, state: str, reason: str | None, sha256: str | None, services: Services) -> None:
    """Close the row. Where even that fails it stays `running`: the error that is on its way says more."""
    try:
        with transaction(services.engine) as tx:
            tx.execute(
                text(
                    "UPDATE imports SET state = :state, reason = :reason, sha256 = :sha256, ended_at = :now,"
                    " touched_at = :now WHERE import_id = :id"
                ),
                {"id": run.import_id, "state": state, "reason": reason, "sha256": sha256, "now": _now(services)},
            )
    except SQLAlchemyError as error:
        log.warning("import_not_closed", import_id=str(run.import_id), error=type(error).__name__)


def _now(services: Services) -> datetime:
    return services.clock.now()
