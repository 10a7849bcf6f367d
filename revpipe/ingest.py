"""From a webhook to signals in the ledger: verify, normalise, store in one transaction; then send."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from revpipe import arrivals, counters, feed, payloads, schemas, trail
from revpipe.arrivals import Arrival, Receipt, Sorted
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import BadPayload, Unauthorised
from revpipe.gathering import Gathering
from revpipe.ids import uuid7
from revpipe.observability import bind_correlation
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused, Source
from revpipe.services import Services

log = structlog.get_logger(__name__)

DATABASE_AWAY: Final = (OperationalError, InterfaceError, TimeoutError)
"""What ends a shared transaction for all of them: to try each alone would only multiply the wait."""


def receive(source: Source, request: InboundRequest, services: Services) -> Receipt:
    """Take one webhook in and send what it held on its way: see Intake."""
    return Intake(services, lambda queues, _: feed.offer(services, queues)).receive(source, request)


class Intake:
    """Takes webhooks in. Requests that come while a transaction is under way share the next one.

    `offer` is told the queues that got rows, and how many came, after each commit.
    """

    def __init__(self, services: Services, offer: Callable[[Iterable[str], int], object]) -> None:
        self._services = services
        self._offer = offer
        self._store = Gathering(self._store_all, nobodys=DATABASE_AWAY)

    def receive(self, source: Source, request: InboundRequest) -> Receipt:
        """Take one webhook in. Once this returns, all that it held is in the ledger.

        Raises Unauthorised (nothing is kept but a count), SourceNotConfigured, and whatever the database raises.
        """
        try:
            source.verify(request)
        except Unauthorised:
            counters.add(self._services.engine, f"unauthorised:{source.name}", request.received_at)
            raise
        delivery = Delivery(uuid7(), uuid7(), source.name, request)
        with bind_correlation(delivery.correlation_id):
            receipt = self._store(Arrival(delivery, normalise(source, delivery)))
            log.info(
                "received",
                source=source.name,
                delivery_id=str(receipt.delivery_id),
                accepted=receipt.accepted,
                duplicates=receipt.duplicates,
                rejected=receipt.rejected,
            )
            crash_point("ingest.stored")
            if receipt.duplicates:
                name = f"duplicates:{source.name}"
                counters.add(self._services.engine, name, request.received_at, receipt.duplicates)
            if receipt.queues:
                self._offer(receipt.queues, receipt.accepted)
        return receipt

    def _store_all(self, found: Sequence[Arrival]) -> list[Receipt]:
        with transaction(self._services.engine) as tx:
            receipts = arrivals.store(tx, found, self._services)
            crash_point("ingest.written")
        return receipts


def take_again(tx: Connection, delivery: Delivery, found: Sorted, services: Services, now: datetime) -> list[uuid.UUID]:
    """Insert what an earlier delivery turns out to hold after all; returns the signals that were not there yet.

    They count for the hour in which the delivery came.
    """
    fresh = arrivals.insert_signals(tx, services, [found.accepted[key] for key in sorted(found.accepted)])
    ids = [key for key in found.accepted if key in fresh]
    trail.record(tx, now, [entry for key in ids for entry in arrivals.received(delivery, found.accepted[key])])
    return ids


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
        schemas.check_signal(signal)
    except BadPayload as error:
        found.refused.append(Refused(error.reason, error.detail, repr(event.signal.payload).encode()))
    else:
        found.accepted[event.signal.signal_id] = event
