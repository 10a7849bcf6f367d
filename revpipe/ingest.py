"""From a webhook to signals in the ledger: verify, store, normalise, insert, in one transaction; then send."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, insert, text
from sqlalchemy.dialects.postgresql import insert as upsert

from config.queues import queue_for
from revpipe import counters, dead_letters, feed, payloads, schemas, tallies, trail
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import BadPayload, Unauthorised
from revpipe.ids import uuid7
from revpipe.models import Delivery as DeliveryRow
from revpipe.models import SignalRow
from revpipe.observability import bind_correlation
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused, Source
from revpipe.services import Services
from revpipe.signals import Signal

log = structlog.get_logger(__name__)

KEPT_HEADERS: Final = (
    "content-type",
    "user-agent",
    "x-hubspot-request-timestamp",
    "x-hubspot-signature-version",
    "x-request-id",
    "x-traceid",
)
"""Headers worth keeping: none that authenticates, for a stored secret is one more to lose."""
INSERTED_AT_ONCE: Final = 500
"""A statement takes 65,535 values at the most, and a megabyte holds thousands of events."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery."""

    delivery_id: uuid.UUID
    correlation_id: uuid.UUID
    accepted: int
    duplicates: int
    rejected: int


@dataclass(slots=True)
class Sorted:
    """The events of a delivery: signals by id, what can't become one, and how many came twice in it."""

    accepted: dict[uuid.UUID, Accepted] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    repeated: int = 0


def receive(source: Source, request: InboundRequest, services: Services) -> Receipt:
    """Take one webhook in. Once this returns, all that it held is in the ledger.

    Raises Unauthorised (nothing is kept but a count), SourceNotConfigured, and whatever the database raises.
    """
    try:
        source.verify(request)
    except Unauthorised:
        counters.add(services.engine, f"unauthorised:{source.name}", request.received_at)
        raise
    delivery = Delivery(uuid7(), uuid7(), source.name, request)
    with bind_correlation(delivery.correlation_id):
        return _take_in(source, delivery, services)


def _take_in(source: Source, delivery: Delivery, services: Services) -> Receipt:
    request = delivery.request
    found = normalise(source, delivery)
    with transaction(services.engine) as tx:
        fresh = _insert_signals(tx, services, [found.accepted[key] for key in sorted(found.accepted)])
        _tally(tx, [found.accepted[key] for key in fresh])
        duplicates = found.repeated + len(found.accepted) - len(fresh)
        receipt = Receipt(
            delivery.delivery_id,
            delivery.correlation_id,
            accepted=len(fresh),
            duplicates=duplicates,
            rejected=len(found.refused),
        )
        _store_delivery(tx, delivery, receipt)
        _bury_refused(tx, delivery, found.refused)
        _record(tx, delivery, found, fresh)
        crash_point("ingest.written")
    crash_point("ingest.stored")
    if duplicates:
        counters.add(services.engine, f"duplicates:{source.name}", request.received_at, duplicates)
    log.info(
        "received",
        source=source.name,
        delivery_id=str(delivery.delivery_id),
        accepted=receipt.accepted,
        duplicates=receipt.duplicates,
        rejected=receipt.rejected,
    )
    feed.offer(
        services,
        [
            queue_for("enrich", found.accepted[key].signal.urgency)
            for key in fresh
            if not found.accepted[key].suppressed
        ],
    )
    return receipt


def take_again(tx: Connection, delivery: Delivery, found: Sorted, services: Services, now: datetime) -> list[uuid.UUID]:
    """Insert what an earlier delivery turns out to hold after all; returns the signals that were not there yet.

    They count for the hour in which the delivery came.
    """
    fresh = _insert_signals(tx, services, [found.accepted[key] for key in sorted(found.accepted)])
    _tally(tx, [found.accepted[key] for key in fresh])
    trail.record(tx, now, [entry for key in fresh for entry in _received(delivery, found.accepted[key])])
    return fresh


def normalise(source: Source, delivery: Delivery) -> Sorted:
    """The events of a delivery, sorted. Raises nothing: what can't be read is refused, whoever is at fault."""
    found = Sorted()
    try:
        results = list(source.normalise(delivery))
    except BadPayload as error:
        found.refused.append(Refused(error.reason, error.detail, delivery.request.body))
        return found
    except Exception as error:  # noqa: BLE001 - whatever broke, an authentic delivery is kept
        # A fault of ours in reading it: the sender can't mend it by sending it again, so it is kept for us to mend.
        log.error("normalising_broke", source=source.name, error=type(error).__name__)
        detail = f"{type(error).__name__} while reading the body; a fault of revpipe, not of the sender"
        found.refused.append(Refused("normalising_broke", detail, delivery.request.body))
        return found
    for result in results:
        if isinstance(result, Refused):
            found.refused.append(result)
        elif result.signal.signal_id in found.accepted:
            found.repeated += 1
        else:
            _keep(found, result)
    return found


def _keep(found: Sorted, event: Accepted) -> None:
    """Refuse what the ledger could not hold, whatever the source let through."""
    try:
        signal = event.signal
        payloads.check_storable(dict(signal.payload))
        payloads.check_storable([signal.event, signal.deal_id, signal.account_id, signal.contact_id])
        schemas.dump_signal(event.signal)
    except BadPayload as error:
        found.refused.append(Refused(error.reason, error.detail, repr(event.signal.payload).encode()))
    else:
        found.accepted[event.signal.signal_id] = event


def _insert_signals(tx: Connection, services: Services, events: Sequence[Accepted]) -> list[uuid.UUID]:
    """Insert in id order, so that two requests with the same events never wait for each other in a ring."""
    if not events:
        return []
    rows = [_row(event, services) for event in events]
    statement = upsert(SignalRow).on_conflict_do_nothing().returning(SignalRow.signal_id)
    fresh: set[uuid.UUID] = set()
    for start in range(0, len(rows), INSERTED_AT_ONCE):
        fresh.update(tx.execute(statement.values(rows[start : start + INSERTED_AT_ONCE])).scalars())
    return [event.signal.signal_id for event in events if event.signal.signal_id in fresh]


def _tally(tx: Connection, events: Sequence[Accepted]) -> None:
    ended = [(event.signal.received_at, "suppressed" if event.suppressed else None) for event in events]
    tallies.accepted(tx, ended)


def _row(event: Accepted, services: Services) -> dict[str, Any]:
    signal = event.signal
    row = {
        **{name: getattr(signal, name) for name in Signal.__slots__},
        "payload": dict(signal.payload),
        "priority": signal.urgency,
        "expires_at": signal.received_at + services.needs.expires(signal),
        "due_at": signal.received_at,
    }
    if event.suppressed:
        ended = {"state": "done", "stage": None, "queue": None, "disposition": "suppressed"}
        return {**row, **ended, "reason": event.suppressed, "done_at": signal.received_at}
    return {
        **row,
        "state": "received",
        "stage": "enrich",
        "queue": queue_for("enrich", signal.urgency),
        "disposition": None,
        "reason": None,
        "done_at": None,
    }


def _store_delivery(tx: Connection, delivery: Delivery, receipt: Receipt) -> None:
    request = delivery.request
    tx.execute(
        insert(DeliveryRow),
        {
            "received_at": request.received_at,
            "delivery_id": delivery.delivery_id,
            "correlation_id": delivery.correlation_id,
            "source": delivery.source,
            "target": request.target.split("?")[0].replace("\0", "")[:500],
            "headers": _headers(request.headers),
            "body": request.body,
            "accepted": receipt.accepted,
            "duplicates": receipt.duplicates,
            "rejected": receipt.rejected,
        },
    )


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
    return {name: value.replace("\0", "").encode("ascii", "replace").decode()[:500] for name, value in kept.items()}


def _bury_refused(tx: Connection, delivery: Delivery, refused: Sequence[Refused]) -> None:
    letters = {
        dead_letters.of_fragment(delivery.source, one.fragment): dead_letters.Letter(
            key=dead_letters.of_fragment(delivery.source, one.fragment),
            stage="ingest",
            source=delivery.source,
            reason=one.reason,
            error=one.detail or one.reason,
            delivery_id=delivery.delivery_id,
            correlation_id=delivery.correlation_id,
            message=one.fragment,
        )
        for one in refused
    }
    dead_letters.bury(tx, list(letters.values()), delivery.request.received_at)


def _record(tx: Connection, delivery: Delivery, found: Sorted, fresh: Sequence[uuid.UUID]) -> None:
    at = delivery.request.received_at
    entries: list[trail.Entry] = []
    new = set(fresh)
    for signal_id, event in found.accepted.items():
        if signal_id in new:
            entries += _received(delivery, event)
    entries += _duplicates(tx, delivery, [key for key in found.accepted if key not in new])
    entries += [
        trail.Entry("refused", None, None, delivery.correlation_id, {"reason": one.reason, "stage": "ingest"})
        for one in found.refused
    ]
    trail.record(tx, at, entries)


def _received(delivery: Delivery, event: Accepted) -> list[trail.Entry]:
    signal = event.signal
    detail: dict[str, Any] = {
        "delivery_id": str(delivery.delivery_id),
        "source": delivery.source,
        "event": signal.event,
        "urgency": signal.urgency,
        "lag_s": round((delivery.request.received_at - signal.fired_at).total_seconds(), 1),
    }
    entries = [trail.Entry("received", signal.signal_id, None, delivery.correlation_id, detail)]
    if event.suppressed:
        reason = {"reason": event.suppressed}
        entries.append(trail.Entry("suppressed", signal.signal_id, None, delivery.correlation_id, reason))
    return entries


def _duplicates(tx: Connection, delivery: Delivery, ids: Sequence[uuid.UUID]) -> list[trail.Entry]:
    """A trail row on the first signal for each that came again, under that signal's correlation."""
    if not ids:
        return []
    known = tx.execute(
        text("SELECT signal_id, correlation_id FROM signals WHERE signal_id = ANY(:ids)"), {"ids": list(ids)}
    )
    detail = {"delivery_id": str(delivery.delivery_id)}
    return [trail.Entry("duplicate", row.signal_id, None, row.correlation_id, detail) for row in known]
