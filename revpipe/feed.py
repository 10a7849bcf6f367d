"""Moving due rows to their queues: used at ingest, by the stages and by the keeper alike."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, text

from config.queues import PRIORITIES, QUEUES, Queue, is_quarantine
from revpipe.crash import crash_point
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.services import Services
from revpipe.work import ACTIONS, SIGNALS, Table

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Send:
    """One message to publish, its rows already stamped with its number."""

    queue: Queue
    ids: tuple[uuid.UUID, ...]
    send_no: int
    correlation_id: str


def offer(services: Services, queues: Iterable[str]) -> int:
    """Send what is due in `queues`, as far as they have room; returns how many rows left.

    Never raises for the broker's sake: what it did not take is found and sent again by the sweep. It stops at
    the first refusal, for a sick broker costs its time limit at every try.
    """
    left = 0
    for name in dict.fromkeys(queues):
        queue = QUEUES[name]
        room = services.dispatcher.room(name)
        if room > 0:
            for send in _stamp(services, queue, room):
                crash_point("feed.stamped")
                if not _publish(services, send):
                    return left
                crash_point("feed.sent")
                left += len(send.ids)
    return left


def _stamp(services: Services, queue: Queue, room: int) -> list[Send]:
    table = table_of(queue)
    with transaction(services.engine) as tx:
        if is_quarantine(queue.name) and not _alone(tx, table, queue):
            return []
        rows = (
            tx.execute(
                text(
                    f"WITH due AS (SELECT {table.key} FROM {table.name}"  # noqa: S608
                    f" WHERE queue = :queue AND sent_at IS NULL AND due_at <= :now"
                    f" ORDER BY {_order(queue)} due_at, {table.key} LIMIT :most FOR UPDATE SKIP LOCKED),"
                    f" number AS MATERIALIZED (SELECT nextval('send_numbers') AS send_no)"
                    f" UPDATE {table.name} AS t SET sent_at = :now, send_no = number.send_no"
                    f" FROM due, number WHERE t.{table.key} = due.{table.key}"
                    f" RETURNING t.{table.key} AS id, t.send_no, t.correlation_id, t.due_at"
                ),
                {"queue": queue.name, "now": services.clock.now(), "most": room * queue.chunk},
            )
            .mappings()
            .all()
        )
    ordered = sorted(rows, key=lambda row: (row["due_at"], row["id"]))
    return [_send(queue, ordered[start : start + queue.chunk]) for start in range(0, len(ordered), queue.chunk)]


def _alone(tx: Connection, table: Table, queue: Queue) -> bool:
    """Whether nothing of a quarantine queue is sent or in work, locked against a second sender until the commit."""
    of = {"queue": queue.name}
    # The lock first, and the question as a statement of its own: it must see what the last holder has committed.
    if not tx.execute(text("SELECT pg_try_advisory_xact_lock(hashtextextended(:queue, 1))"), of).scalar():
        return False
    busy = text(f"SELECT EXISTS (SELECT 1 FROM {table.name} WHERE queue = :queue AND sent_at IS NOT NULL)")  # noqa: S608
    return not tx.execute(busy, of).scalar()


def _order(queue: Queue) -> str:
    """In quarantine rows of all priorities wait for one place, so the urgent ones are let in first."""
    if not is_quarantine(queue.name):
        return ""
    return f"array_position(ARRAY{list(PRIORITIES)!r}, priority),"


def _send(queue: Queue, rows: list[Any]) -> Send:
    correlations = {str(row["correlation_id"]) for row in rows}
    send_no = rows[0]["send_no"]
    return Send(
        queue,
        tuple(row["id"] for row in rows),
        send_no,
        correlations.pop() if len(correlations) == 1 else f"send-{send_no}",
    )


def _publish(services: Services, send: Send) -> bool:
    try:
        services.dispatcher.send(send.queue.task, send.queue.name, send.ids, send.send_no, send.correlation_id)
    except Transient as error:
        log.warning("not_sent", queue=send.queue.name, rows=len(send.ids), error=str(error))
        return False
    return True


def table_of(queue: Queue) -> Table:
    """The table whose rows travel through `queue`."""
    return ACTIONS if queue.task == "act" else SIGNALS
