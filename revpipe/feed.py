"""Moving due rows to their queues: used at ingest, by the stages and by the keeper alike."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from config.queues import NOTIFY, PRIORITIES, QUEUES, RECHECK, STAGES, URGENT, WAITING, Queue, is_quarantine, queue_for
from revpipe import quarantine
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.errors import Transient
from revpipe.services import Services
from revpipe.work import ACTIONS, REQUESTS, SIGNALS, Chunk, Claim, Table

log = structlog.get_logger(__name__)

ENOUGH: Final = 2
"""Messages that wait in a queue beyond which another would only wait, too: then a chunk has time to fill up. In an
urgent queue there are as many as a worker has threads: nothing waits for company there, only for a thread."""
GATHERED: Final = tuple(queue_for(STAGES[0], priority) for priority in PRIORITIES if priority not in URGENT)
"""Queues whose rows may wait a moment for company, see Dispatcher.turn. What joined there stays together later on."""
BEHIND: Final = timedelta(seconds=0.02)
"""A row that waits longer has others before it: who has worked it sees to it that its queue does not run dry."""


@dataclass(frozen=True, slots=True)
class Send:
    """One message to publish, its rows already stamped with its number."""

    queue: Queue
    ids: tuple[uuid.UUID, ...]
    send_no: int
    correlation_id: str
    sent_at: datetime


def offer(services: Services, queues: Iterable[str]) -> int:
    """Send what is due in `queues`, as far as they have room; returns how many rows left.

    Where a queue is not ready for more, only full chunks go. Never raises for the broker's sake: what it did not take
    is found and sent again by the sweep. It stops at the first refusal, for a sick broker costs its time limit at every
    try.
    """
    left = 0
    for name in dict.fromkeys(queues):
        queue = QUEUES[name]
        room = services.dispatcher.room(name)
        if room > 0:
            sent, refused = _send_all(services, queue, room, whole=not _ready(services, queue, room))
            left += sent
            if refused:
                break
    return left


def offer_ready(services: Services, queues: Iterable[str], full: Collection[str] = ()) -> list[str]:
    """Send what is due in those of `queues` that are ready for more, however little it is; returns the others.

    Of those `full` may hold a whole chunk, and where hardly a message waits that is sent as well.
    """
    others: list[str] = []
    for name in dict.fromkeys(queues):
        queue = QUEUES[name]
        room = services.dispatcher.room(name)
        ready = _ready(services, queue, room)
        if not ready:
            others.append(name)
            if name not in full or room <= queue.depth - ENOUGH:
                continue
        if _send_all(services, queue, room, whole=not ready)[1]:
            break
    return others


def _send_all(services: Services, queue: Queue, room: int, *, whole: bool) -> tuple[int, bool]:
    """Send what is due, only full chunks if `whole`: how many rows left, and whether the broker refused a message."""
    sends, left = _stamp(services, queue, room, whole=whole), 0
    if sends and not whole and queue.name in GATHERED:
        services.dispatcher.gather(queue.name, sum(len(send.ids) for send in sends))
    for send in sends:
        crash_point("feed.stamped")
        if not _publish(services, send):
            return left, True
        crash_point("feed.sent")
        left += len(send.ids)
    return left, False


def _ready(services: Services, queue: Queue, room: int) -> bool:
    """Whether a chunk may go that is not full: no message that waits there, nor one that has just left, leaves time to
    gather more. Urgent work never waits for company.
    """
    if queue.priority in URGENT:
        return room > queue.depth - WAITING
    if room <= queue.depth - ENOUGH:
        return False
    return queue.name not in GATHERED or services.dispatcher.turn(queue.name)


def _stamp(services: Services, queue: Queue, room: int, *, whole: bool) -> list[Send]:
    table, now = table_of(queue), services.clock.now()
    with transaction(services.engine, durable=False) as tx:
        if whole and not _fills_one(tx, table, queue, now):
            return []
        first = _TOLD_FIRST if table is REQUESTS else ""
        due, most = _FAIR if table is SIGNALS else _OLDEST.format(which="", order=first), room * queue.chunk
        if is_quarantine(queue.name):
            which, most = quarantine.let_in(tx, table, queue, now)
            due = _OLDEST.format(which=which, order=quarantine.ORDER)
        rows = tx.execute(
            sql(
                f"WITH {due.replace('TABLE', table.name).replace('KEY', table.key)},"  # noqa: S608
                f" number AS MATERIALIZED (SELECT nextval('send_numbers') AS send_no)"
                f" UPDATE {table.name} AS t SET sent_at = :now, send_no = number.send_no"
                f" FROM due, number WHERE t.{table.key} = due.{table.key}"
                f" RETURNING t.{table.key} AS id, t.send_no, t.sent_at, t.correlation_id, t.due_at, due.source"
            ),
            {"queue": queue.name, "now": now, "most": most},
        ).all()
    ordered = in_turn(rows)
    size = _size(queue, len(ordered))
    return [_send(queue, ordered[start : start + size]) for start in range(0, len(ordered), size)]


def _size(queue: Queue, rows: int) -> int:
    """How many of so many rows travel together; urgent ones are spread over as many threads as there may be."""
    return min(queue.chunk, max(1, -(-rows // WAITING))) if queue.priority in URGENT else queue.chunk


def _fills_one(tx: Connection, table: Table, queue: Queue, now: datetime) -> bool:
    """Whether a whole chunk is due."""
    due = f"SELECT 1 FROM {table.name} WHERE {_DUE} LIMIT :chunk"  # noqa: S608
    found = tx.execute(
        sql(f"SELECT count(*) FROM ({due}) AS due"),  # noqa: S608
        {"queue": queue.name, "now": now, "chunk": queue.chunk},
    )
    return bool(found.scalar_one() == queue.chunk)


def in_turn(rows: Iterable[Any]) -> list[Any]:
    """The rows of each source from old to new, and the sources in turn."""
    places: dict[str, int] = {}
    turns = []
    for row in sorted(rows, key=lambda row: (row.due_at, row.id)):
        places[row.source] = places.get(row.source, 0) + 1
        turns.append((places[row.source], row))
    return [row for _, row in sorted(turns, key=lambda turn: turn[0])]


_DUE: Final = "queue = :queue AND sent_at IS NULL AND due_at <= :now"
_OLDEST: Final = (
    "due AS (SELECT KEY, CAST('' AS text) AS source FROM TABLE"  # noqa: S608
    f" WHERE {_DUE}{{which}} ORDER BY {{order}}due_at, KEY LIMIT :most FOR UPDATE SKIP LOCKED)"
)
_TOLD_FIRST: Final = "ref IS NULL, "
"""What stands before somebody already is brought up to date before others are asked: a burst of new requests goes out
no faster than its vendor lets it, and would hold up what became of each."""
# Each source that has anything here gets an equal share, found by one probe of the index for each: one that floods
# delays only itself. What another source has no rows for is left to the next offer.
_FAIR: Final = (
    "RECURSIVE sources AS ("  # noqa: S608
    "(SELECT source FROM signals WHERE queue = :queue AND sent_at IS NULL ORDER BY source LIMIT 1) UNION ALL"
    " SELECT (SELECT s.source FROM signals AS s WHERE s.queue = :queue AND s.sent_at IS NULL"
    " AND s.source > sources.source ORDER BY s.source LIMIT 1) FROM sources WHERE sources.source IS NOT NULL),"
    " share AS (SELECT greatest(1, CAST(:most AS int) / greatest(1, count(source))) AS n FROM sources),"
    " due AS (SELECT oldest.signal_id, sources.source FROM sources,"
    f" LATERAL (SELECT signal_id FROM signals WHERE {_DUE} AND signals.source = sources.source"
    " ORDER BY due_at, signal_id LIMIT (SELECT n FROM share) FOR UPDATE SKIP LOCKED) AS oldest)"
)


def _send(queue: Queue, rows: list[Any]) -> Send:
    correlations = {str(row.correlation_id) for row in rows}
    send_no = rows[0].send_no
    return Send(
        queue,
        tuple(row.id for row in rows),
        send_no,
        correlations.pop() if len(correlations) == 1 else f"send-{send_no}",
        rows[0].sent_at,
    )


def _publish(services: Services, send: Send) -> bool:
    try:
        message = Chunk(send.ids, send.send_no).to_message()
        services.dispatcher.send(send.queue.task, send.queue.name, message, send.correlation_id, send.sent_at)
    except Transient as error:
        log.warning("not_sent", queue=send.queue.name, rows=len(send.ids), error=str(error))
        return False
    return True


def behind(held: Claim) -> list[str]:
    """The queues whose rows waited so long for this claim that more of them surely wait."""
    return sorted({row["queue"] for row in held.rows if held.claimed_at - row["due_at"] > BEHIND})


_TABLES: Final = {"act": ACTIONS, RECHECK: ACTIONS, NOTIFY: REQUESTS}


def table_of(queue: Queue) -> Table:
    """The table whose rows travel through `queue`."""
    return _TABLES.get(queue.task, SIGNALS)
