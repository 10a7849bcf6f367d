"""Dead letters of ingest, read again by today's code: the event's own text, else the delivery that brought it."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import dead_letters, ingest, trail
from revpipe.arrivals import Sorted
from revpipe.dead_letters import Letter
from revpipe.ports import Delivery, InboundRequest, Refused, Source
from revpipe.reopening import Command
from revpipe.services import Services

WORKED_FOR: Final = timedelta(hours=24)
NEAR: Final = timedelta(hours=1)
GONE: Final = "the delivery that brought it is gone (revpipe prune), so only the event's own text could be read"
FOREIGN: Final = "foreign_account"
"""The reason for refusing an event of an account that is not served."""


@dataclass(frozen=True, slots=True)
class Reread:
    """What came of a letter: the signals that are new, or why the event is still refused (then it stays open)."""

    fresh: tuple[uuid.UUID, ...] = ()
    queues: tuple[str, ...] = ()
    still: str | None = None


def reread(tx: Connection, letter: Mapping[str, Any], services: Services, command: Command) -> Reread:
    """Make signals of an open ingest letter that the caller holds, or bury it again with today's reason."""
    if letter["reason"] == FOREIGN and not services.settings.hubspot_portal_id:
        # Here nobody could tell whose event it is; the web process that refused it could.
        return Reread(still="HUBSPOT_PORTAL_ID is not set here; replay it where the web process's settings are")
    source = services.sources[letter["source"]]
    delivery, there = _delivery(tx, letter)
    refused: Refused | None = None
    for attempt, ours in _ways(delivery, letter):
        found = ingest.normalise(source, attempt)
        stays = [one for one in found.refused if not ours or _key(source, one) == letter["letter_key"]]
        for one in stays:
            if refused is None or _key(source, one) == letter["letter_key"]:
                refused = one
        if found.accepted and not stays:
            return _accept(tx, letter, attempt, found, services, command)
    return _refuse(tx, letter, refused, command, gone=not there)


def _ways(delivery: Delivery, letter: Mapping[str, Any]) -> Iterator[tuple[Delivery, bool]]:
    """Bodies to try, and whether other events' faults in them are to be overlooked.

    The event comes first by itself, as it is and as a batch of one: the rest of its delivery has had its own end.
    """
    message = bytes(letter["message"] or b"")
    for body in (message, b"[" + message + b"]"):
        yield replace(delivery, request=replace(delivery.request, body=body)), False
    if delivery.request.body:
        yield delivery, True


def _delivery(tx: Connection, letter: Mapping[str, Any]) -> tuple[Delivery, bool]:
    """The delivery that brought the event, and whether it is there: once it has been pruned only its ids are."""
    row = tx.execute(
        text(
            "SELECT received_at, target, headers, body FROM deliveries WHERE delivery_id = :id"
            # The letter was written with it; the time says in which month to look.
            " AND received_at BETWEEN :since AND :until"
        ),
        {
            "id": letter["delivery_id"],
            "since": letter["first_at"] - NEAR,
            "until": letter["first_at"] + NEAR,
        },
    ).first()
    at: datetime = row.received_at if row else letter["first_at"]
    request = InboundRequest(
        "POST", row.target if row else "", row.headers if row else {}, bytes(row.body) if row else b"", at
    )
    return Delivery(letter["delivery_id"], letter["correlation_id"], letter["source"], request), row is not None


def _accept(
    tx: Connection,
    letter: Mapping[str, Any],
    delivery: Delivery,
    found: Sorted,
    services: Services,
    command: Command,
) -> Reread:
    fresh = ingest.take_again(tx, delivery, found, services, command.now)
    # They fired long ago; to be worked they need a time of their own, and a day of it.
    rows = tx.execute(
        text(
            "UPDATE signals SET due_at = :due, expires_at = greatest(expires_at, :latest)"
            " WHERE signal_id = ANY(:ids) AND queue IS NOT NULL RETURNING queue"
        ),
        {"due": command.due, "latest": command.due + WORKED_FOR, "ids": sorted(fresh)},
    )
    queues = tuple(sorted(set(rows.scalars())))
    detail = {"from": "ingest", "audit": str(command.audit_id), "letter": str(letter["letter_id"])}
    entries = [trail.Entry("replayed", key, None, letter["correlation_id"], detail) for key in fresh]
    trail.record(tx, command.now, entries)
    dead_letters.close(tx, [letter["letter_id"]], "replayed", command.actor, None, command.now)
    return Reread(tuple(fresh), queues)


def _refuse(
    tx: Connection, letter: Mapping[str, Any], refused: Refused | None, command: Command, *, gone: bool
) -> Reread:
    reason = refused.reason if refused else "no_event"
    error = (refused.detail or refused.reason) if refused else "the source found no event in it"
    if gone:
        error += f"; {GONE}"
    again = Letter(
        key=letter["letter_key"],
        stage="ingest",
        reason=reason,
        error=error,
        detail={**letter["detail"], "replayed_by": str(command.audit_id)},
    )
    dead_letters.bury(tx, [again], command.now)
    return Reread(still=f"{reason}; {GONE}" if gone else reason)


def _key(source: Source, refused: Refused) -> str:
    return dead_letters.of_fragment(source.name, refused.fragment)
