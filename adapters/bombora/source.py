"""Bombora's weekly Company Surge files as a source of signals: one for each company, topic and week that surges.

A file goes in as batches. Each is a small file by itself, heading and all, and is kept as its delivery: what came in
can be read again, row by row. Rows below the threshold make no signal: they say that nothing out of the ordinary was
read, are some four in ten, and would cost as much to store as those that matter. They are counted with their import,
and the delivery still holds them.
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Final, Protocol

from adapters.bombora import columns, records, rows, weeks
from adapters.bombora.columns import Columns
from adapters.bombora.rows import Row
from revpipe.errors import BadPayload, SourceNotConfigured, Unauthorised
from revpipe.ports import Accepted, Batch, Delivery, InboundRequest, Refused
from revpipe.signals import Signal, stable_id

PATH: Final = "/imports/bombora"
ROWS: Final = 2000
"""Rows of a batch, so that a transaction takes a second or less."""
BYTES: Final = 1_000_000
_WEEK: Final = re.compile(r";week=(\d{4}-\d\d-\d\d)")
Place = tuple[str, str, str]


class BomboraSettings(Protocol):
    """What the source needs to be told."""

    @property
    def import_tokens(self) -> tuple[str, ...]:
        """Those that let a file in."""


def build(settings: BomboraSettings) -> "BomboraSource":
    """The source as configured; it opens nothing."""
    return BomboraSource(settings.import_tokens)


class BomboraSource:
    """Reads the files; see ports.FileSource. The layouts are told in `columns`."""

    name = "bombora"
    only_counted = frozenset({rows.BELOW, rows.NO_SCORE, rows.NOBODY})

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens = tokens

    def verify(self, request: InboundRequest) -> None:
        """Raise Unauthorised without one of our tokens as bearer, SourceNotConfigured if there are none.

        Nothing else than an import is authentic: a webhook of Bombora's would carry a signature.
        """
        if not self._tokens:
            raise SourceNotConfigured("IMPORT_TOKENS is not set")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = [hmac.compare_digest(given.strip().encode(), token.encode()) for token in self._tokens]
        if scheme.lower() != "bearer" or not any(known) or not request.target.startswith(PATH):
            raise Unauthorised("bombora: not one of the tokens in IMPORT_TOKENS")

    def target(self, options: Mapping[str, str]) -> str:
        """Where the deliveries of a file say they came from: the week of rows without a date stays with them.

        `week` is any day of it, else it is looked for in `file`, the file's name. Raises BadPayload: bad_week.
        """
        if options.get("week"):
            return f"{PATH};week={weeks.week(options['week'])}"
        found = weeks.week_in_name(options.get("file", ""))
        return f"{PATH};week={found}" if found else PATH

    def batches(self, pieces: Iterable[bytes], target: str) -> Iterator[Batch]:
        """The file in batches of whole records, each under the file's heading. Raises BadPayload."""
        found = records.records(pieces)
        first = next(found, None)
        if first is None:
            raise BadPayload("empty", "the file is empty")
        layout = columns.read(records.cells(first)[0])
        if "week" not in layout.places and _week(target) is None:
            raise BadPayload("no_week", "the file has no date column; name the week: ?week=YYYY-MM-DD")
        heading, held = (_ended(first), []) if layout.headed else (b"", [first])
        size = sum(map(len, held))
        for record in found:
            if len(held) == ROWS or size + len(record) > BYTES:
                yield Batch(heading + b"".join(held), len(held))
                held, size = [], 0
            held.append(_ended(record))
            size += len(record)
        if held:
            yield Batch(heading + b"".join(held), len(held))

    def normalise(self, delivery: Delivery) -> Iterator[Accepted | Refused]:
        """One result for each row, in order. Rows of one company, topic and week give the one with the best score.

        Raises BadPayload if the body has no heading or first row that can be understood.
        """
        body = delivery.request.body
        if body.startswith(b"[") and body.endswith(b"]"):
            # A refused event of other sources is read again as an array of one; a row must not be mistaken for it.
            raise BadPayload("not_csv", "it is a JSON array")
        found = records.records([body])
        first = next(found, b"")
        layout = columns.read(records.cells(first)[0])
        heading = _ended(first) if layout.headed else b""
        read: list[Place | Refused] = []
        best: dict[Place, Row] = {}
        for record in found if layout.headed else _with(first, found):
            try:
                row = _row(record, layout, delivery)
            except BadPayload as error:
                # The heading goes with it: without it a row can't be read again.
                read.append(Refused(error.reason, error.detail, heading + record.rstrip(b"\r\n")))
                continue
            read.append(row.key)
            if row.key not in best or best[row.key].score < row.score:
                best[row.key] = row
        accepted = {key: Accepted(_signal(row, delivery), row.suppressed) for key, row in best.items()}
        return (one if isinstance(one, Refused) else accepted[one] for one in read)


def _row(record: bytes, layout: Columns, delivery: Delivery) -> Row:
    cells, odd = records.cells(record)
    row = rows.read(cells, layout, _week(delivery.request.target))
    weeks.check(row.week, delivery.request.received_at.date())
    if odd:
        row.payload["decoded_as"] = "cp1252"
    return row


def _signal(row: Row, delivery: Delivery) -> Signal:
    received_at = delivery.request.received_at
    return Signal(
        signal_id=stable_id("bombora", *row.key),
        signal_type="intent",
        event="intent.surge",
        source="bombora",
        payload=row.payload,
        urgency="low",
        confidence=row.score / 100,
        fired_at=min(datetime.combine(row.week, time(), UTC), received_at),
        received_at=received_at,
        delivery_id=delivery.delivery_id,
        correlation_id=delivery.correlation_id,
    )


def _week(target: str) -> date | None:
    found = _WEEK.search(target)
    return date.fromisoformat(found[1]) if found else None


def _ended(record: bytes) -> bytes:
    return record if record.endswith(b"\n") else record + b"\n"


def _with(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others
