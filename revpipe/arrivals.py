"""Deliveries and their signals into the ledger: any number of them in one transaction."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from config.queues import queue_for
from revpipe import bulk, dead_letters, tallies, trail
from revpipe.db import sql
from revpipe.ports import Accepted, Delivery, Refused
from revpipe.services import Services
from revpipe.signals import Signal

KEPT_HEADERS: Final = (
    "content-type",
    "user-agent",
    "x-hubspot-request-timestamp",
    "x-hubspot-signature-version",
    "x-request-id",
    "x-traceid",
)
"""Headers worth keeping: none that authenticates, for a stored secret is one more to lose."""
COLUMNS: Final = tuple(Signal.__slots__)
_SIGNAL: Final = (
    *COLUMNS,
    *("priority", "expires_at", "due_at", "state", "stage", "queue", "disposition", "reason", "done_at"),
)
"""The columns that a signal has from the start."""
_KEPT: Final = ("received_at", "delivery_id", "correlation_id", "source", "target", "headers", "body", "rejected")
_DELIVERY: Final = (*_KEPT, "duplicates")
"""What is known of a delivery before it is stored; for `duplicates` stands how many signals it holds in all."""


@dataclass(slots=True)
class Sorted:
    """The events of a delivery: signals by id, what can't become one, and how many came twice in it."""

    accepted: dict[uuid.UUID, Accepted] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery that was read."""

    delivery: Delivery
    found: Sorted


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery."""

    delivery_id: uuid.UUID
    correlation_id: uuid.UUID
    accepted: int
    duplicates: int
    rejected: int
    queues: frozenset[str]
    """Where signals of it wait now."""


def store(tx: Connection, arrivals: Sequence[Arrival], services: Services) -> list[Receipt]:
    """Write deliveries and what they held, and say for each what became of it.

    Of a signal that several of them hold, the first brings it in, and it is a duplicate of the others.
    """
    first: dict[uuid.UUID, int] = {}
    for at, arrival in enumerate(arrivals):
        for key in arrival.found.accepted:
            first.setdefault(key, at)
    steps = [
        (arrival.delivery.request.received_at, received(arrival.delivery, event))
        for at, arrival in enumerate(arrivals)
        for key, event in arrival.found.accepted.items()
        if first[key] == at
    ]
    behind = {
        key: place
        for at, arrival in enumerate(arrivals)
        for place, key in enumerate(reversed(arrival.found.accepted))
        if first[key] == at
    }
    rows = [_row(arrivals[first[key]].found.accepted[key], services, behind[key]) for key in sorted(first)]
    values = {
        **bulk.values("signals", _SIGNAL, rows),
        **bulk.values("trail", trail.COLUMNS, trail.rows(steps), "step_"),
        **bulk.values("deliveries", _DELIVERY, map(_delivery, arrivals), "d_"),
    }
    fresh = set(tx.scalars(sql(_STORE), values))
    new = [[key for key in one.found.accepted if key in fresh and first[key] == at] for at, one in enumerate(arrivals)]
    for arrival, ids in zip(arrivals, new, strict=True):
        _tell_of_the_rest(tx, arrival, set(ids))
    return [_receipt(arrival, ids) for arrival, ids in zip(arrivals, new, strict=True)]


def insert_signals(tx: Connection, services: Services, events: Sequence[Accepted]) -> set[uuid.UUID]:
    """Insert those that are not there yet, count them, and return their ids.

    `events` are in id order, so that two transactions with the same events never wait for each other in a ring.
    """
    if not events:
        return set()
    rows = [_row(event, services) for event in events]
    return set(tx.scalars(sql(_INSERT), bulk.values("signals", _SIGNAL, rows)))


def received(delivery: Delivery, event: Accepted) -> list[trail.Entry]:
    """The first steps of a signal's trail."""
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


def _receipt(arrival: Arrival, fresh: Sequence[uuid.UUID]) -> Receipt:
    found = arrival.found
    waiting = [found.accepted[key] for key in fresh if not found.accepted[key].suppressed]
    return Receipt(
        arrival.delivery.delivery_id,
        arrival.delivery.correlation_id,
        accepted=len(fresh),
        duplicates=found.repeated + len(found.accepted) - len(fresh),
        rejected=len(found.refused),
        queues=frozenset(queue_for("enrich", event.signal.urgency) for event in waiting),
    )


def _row(event: Accepted, services: Services, behind: int = 0) -> dict[str, Any]:
    """`behind` is how many follow it in its delivery. They come due in their order, so that what a file tells of one
    company in a row travels together, and is asked for once.
    """
    signal = event.signal
    row = {
        **{name: getattr(signal, name) for name in COLUMNS},
        "payload": dict(signal.payload),
        "priority": signal.urgency,
        "expires_at": signal.received_at + services.needs.expires(signal),
        "due_at": signal.received_at - timedelta(microseconds=behind),
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


def _delivery(arrival: Arrival) -> dict[str, Any]:
    delivery, request = arrival.delivery, arrival.delivery.request
    return {
        "received_at": request.received_at,
        "delivery_id": delivery.delivery_id,
        "correlation_id": delivery.correlation_id,
        "source": delivery.source,
        "target": request.target.split("?")[0].replace("\0", "")[:500],
        "headers": _headers(request.headers),
        "body": request.body,
        "rejected": len(arrival.found.refused),
        "duplicates": arrival.found.repeated + len(arrival.found.accepted),
    }


# What came in is written in one statement: to a webhook of one signal each further one would cost as much as all else
# that the web process does for it.
_SIGNALS, _GIVEN = bulk.selected("signals", _SIGNAL)
_STEPS, _TOLD = bulk.selected("trail", trail.COLUMNS, "step_")
_DELIVERIES, _CAME = bulk.selected("deliveries", _DELIVERY, "d_")
_FRESH: Final = (
    f"WITH fresh AS (INSERT INTO signals ({', '.join(_SIGNAL)}) SELECT {_SIGNALS} FROM {_GIVEN}"  # noqa: S608
    " ON CONFLICT DO NOTHING RETURNING signal_id, delivery_id, received_at, disposition),"
    f" counted AS ({tallies.CAME})"
)
_INSERT: Final = f"{_FRESH} SELECT signal_id FROM fresh"  # noqa: S608
_STORE: Final = (
    f"{_FRESH}, told AS (INSERT INTO trail ({', '.join(trail.COLUMNS)}) SELECT {_STEPS} FROM {_TOLD}"  # noqa: S608
    " WHERE step_given.signal_id IN (SELECT signal_id FROM fresh)),"
    f" came AS (SELECT {_DELIVERIES},"
    f" (SELECT count(*) FROM fresh WHERE fresh.delivery_id = d_given.delivery_id) AS accepted FROM {_CAME}),"
    f" kept AS (INSERT INTO deliveries ({', '.join(_KEPT)}, accepted, duplicates)"
    f" SELECT {', '.join(_KEPT)}, accepted, duplicates - accepted FROM came)"
    " SELECT signal_id FROM fresh"
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


def _tell_of_the_rest(tx: Connection, arrival: Arrival, fresh: set[uuid.UUID]) -> None:
    """What a delivery holds beside new signals: such as were there before, and what can't become one."""
    delivery, found = arrival.delivery, arrival.found
    again = [key for key in found.accepted if key not in fresh]
    if not again and not found.refused:
        return
    if found.refused:
        _bury_refused(tx, delivery, found.refused)
    entries = _duplicates(tx, delivery, again)
    for one in found.refused:
        detail = {"reason": one.reason, "stage": "ingest"}
        entries.append(trail.Entry("refused", None, None, delivery.correlation_id, detail))
    trail.record(tx, delivery.request.received_at, entries)


def _duplicates(tx: Connection, delivery: Delivery, ids: Sequence[uuid.UUID]) -> list[trail.Entry]:
    """A trail row on the first signal for each that came again, under that signal's correlation."""
    if not ids:
        return []
    known = tx.execute(
        sql("SELECT signal_id, correlation_id FROM signals WHERE signal_id = ANY(:ids)"), {"ids": list(ids)}
    )
    detail = {"delivery_id": str(delivery.delivery_id)}
    return [trail.Entry("duplicate", row.signal_id, None, row.correlation_id, detail) for row in known]
