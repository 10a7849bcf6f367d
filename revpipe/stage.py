"""The three beats that every signal stage has: claim, ask (no transaction open), record and hand on."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, Final

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from config.queues import is_quarantine, queue_for
from revpipe import failures, feed, versions, work
from revpipe.columns import Uuids
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.hold import Hold, holding
from revpipe.services import Services
from revpipe.work import SIGNALS, Chunk, Claim

log = structlog.get_logger(__name__)

AFTER: Final = {"enrich": ("enriched", "decide"), "decide": ("decided", "execute")}
"""Stage → the state it leaves behind and the stage that follows."""
RENEWALS: Final = 3
"""How often a lease is renewed before it would end."""
GIVE_BACK_AFTER: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each try to tell a database that failed that a claim is given up; after that the lease runs out."""
GIVEN_BACK_FOR: Final = timedelta(seconds=5)
"""How long such a row waits, times its attempts: a statement that always fails must not be tried at full speed."""


@dataclass(slots=True)
class HandOn:
    """What a stage's last beat did: ids that go on in the chain, and queues that got rows of their own."""

    onward: list[uuid.UUID] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)


def run(
    stage: str,
    chunk: Chunk,
    services: Services,
    do: Callable[[Claim, Services], HandOn],
    reads: Callable[[Connection, Sequence[uuid.UUID]], Mapping[uuid.UUID, Any]] | None = None,
) -> Chunk | None:
    """Claim the chunk, do the stage's work, and return what goes on, None if nothing does.

    What the stage `reads` it finds as the claim's `beside`: in one transaction with the claim that costs least. It must
    only fetch, since what breaks there would break the claim of all.

    A row whose output is already there (the message came twice) goes on without the work being done again.
    Raises only for the database's sake: then nothing was recorded, and the sweep sends the rows again.
    """
    with transaction(services.engine, durable=False) as tx:
        asked_at, now = time.monotonic(), services.clock.now()
        held = work.claim(tx, SIGNALS, stage, chunk, now, lasts=services.lease)
        passed = _passed(tx, stage, chunk, held)
        isolated = quarantines(held)
        behind = feed.behind(held)
        held = _readable(tx, stage, held, now)
        held = held.only(failures.bury_exhausted(tx, stage, held.rows, now))
        if reads and held.rows:
            held = replace(held, beside=reads(tx, held.ids))
    crash_point(f"{stage}.claimed", held.rows)
    handed = HandOn()
    if held.rows:
        with given_back(held, services), renewed(held, services, asked_at):
            handed = _careful(stage, held, services, do)
    crash_point(f"{stage}.recorded", held.rows)
    feed.offer(services, [*handed.offers, *isolated, *behind])
    onward = (*handed.onward, *passed)
    return Chunk(tuple(onward), chunk.send_no) if onward else None


def _careful(stage: str, held: Claim, services: Services, do: Callable[[Claim, Services], HandOn]) -> HandOn:
    """Do the work; if a fault of ours breaks it, do it row by row, so that one row can't harm its mates."""
    try:
        return do(held, services)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        # The worker's loop ends here: what is no trouble of the database is a fault of ours, and a row's to bear.
        log.exception("stage_broke", stage=stage, rows=len(held.rows))
        if len(held.rows) == 1:
            with transaction(services.engine) as tx:
                now = services.clock.now()
                if work.still_held(tx, held):
                    failures.settle_signals(tx, stage, [failures.Failure(held.rows[0], error)], now)
            return HandOn()
    handed = HandOn()
    for row in held.rows:
        one = _careful(stage, held.only([row]), services, do)
        handed.onward += one.onward
        handed.offers += one.offers
    return handed


def quarantines(held: Claim) -> list[str]:
    """Quarantine queues that may send their next row now that this one is through."""
    return sorted({row["queue"] for row in held.rows if is_quarantine(row["queue"])})


def _readable(tx: Connection, stage: str, held: Claim, now: datetime) -> Claim:
    """The claim without the rows that only a later release can read; those are put back for its workers."""
    newer = versions.newer_signals(tx, held.rows)
    if not newer:
        return held
    aside = [failures.Failure(row, newer[row["signal_id"]]) for row in held.rows if row["signal_id"] in newer]
    failures.settle_signals(tx, stage, aside, now)
    return held.only([row for row in held.rows if row["signal_id"] not in newer])


def next_has_room(stage: str, held: Claim, services: Services) -> bool:
    """Whether the chain may go on: asked before the transaction, so that a slow broker holds up no locks."""
    return services.dispatcher.room(queue_for(AFTER[stage][1], held.rows[0]["priority"])) > 0


def hand_on(tx: Connection, stage: str, rows: Sequence[Mapping[str, Any]], now: datetime, *, room: bool) -> HandOn:
    """Put rows behind `stage`: in the chain where their priority is unchanged and the next queue has room.

    Each row tells its new `priority`; `was_priority` is the one that this chain runs at. Rows that leave the
    chain are due in their new queue at once, and the caller offers it after the commit.
    """
    state, next_stage = AFTER[stage]
    handed = HandOn()
    groups: dict[tuple[str, bool], list[uuid.UUID]] = {}
    for row in rows:
        queue = queue_for(next_stage, row["priority"])
        # From quarantine a row returns to the queues of its priority, which this chain's next links are not.
        stays = room and row["priority"] == row["was_priority"] and not is_quarantine(row["queue"])
        groups.setdefault((queue, stays), []).append(row["signal_id"])
    for (queue, stays), ids in groups.items():
        values = {
            "state": state,
            "stage": next_stage,
            "queue": queue,
            "priority": queue.rsplit(".", 1)[1],
            "due_at": now,
            "sent_at": now if stays else None,
        }
        work.move(tx, SIGNALS, ids, values)
        if stays:
            handed.onward += ids
        else:
            handed.offers.append(queue)
    return handed


@contextmanager
def given_back(held: Claim, services: Services) -> Iterator[None]:
    """Give up the claim if the block fails for the database's sake, as soon as the database answers again.

    The worker is alive, so the lease must not have to run out, and nothing speaks against the rows.
    """
    try:
        yield
    except (OperationalError, InterfaceError):
        for pause in GIVE_BACK_AFTER:
            time.sleep(pause)
            try:
                with transaction(services.engine) as tx:
                    now = services.clock.now()
                    rows = {row[held.table.key]: row for row in held.rows}
                    for key in work.still_held(tx, held):
                        work.postpone(tx, held.table, [key], now + GIVEN_BACK_FOR * rows[key]["attempts"])
                break
            except (OperationalError, InterfaceError) as error:
                log.warning("claim_not_given_back", error=type(error).__name__)
        raise


@contextmanager
def renewed(held: Claim, services: Services, asked_at: float) -> Iterator[Hold]:
    """Keep the lease alive while the block runs; a renewal that fails is left to the next.

    Calls to vendors in the block are made under the hold that it gives: none once the lease, asked for at
    `asked_at` (monotonic seconds), is over.
    """
    stop, hold = Event(), Hold(held.lasts, asked_at)

    def renew() -> None:
        while not stop.wait(held.lasts.total_seconds() / RENEWALS):
            asked_at = time.monotonic()
            try:
                with transaction(services.engine) as tx:
                    ours = work.renew(tx, held, services.clock.now())
                if ours:
                    hold.prolong(asked_at)
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", error=type(error).__name__)

    thread = Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        with holding(hold):
            yield hold
    finally:
        stop.set()
        thread.join(timeout=1)


def timing(row: Mapping[str, Any], held: Claim, now: datetime) -> dict[str, Any]:
    """For the trail: attempt, queue, worker, how long the row waited for its claim and how long the work took."""
    return {
        "attempt": row["attempts"],
        "queue": row["queue"],
        **held.spent(row, now),
        "worker": work.worker_name(),
    }


def _passed(tx: Connection, stage: str, chunk: Chunk, held: Claim) -> list[uuid.UUID]:
    """Rows of this very sending that have `stage` behind them and wait for the next link's message."""
    if stage not in AFTER or len(held.rows) == len(chunk.ids):
        return []
    found = tx.execute(
        sql(
            "SELECT signal_id FROM signals WHERE signal_id = ANY(:ids) AND send_no = :send_no"
            " AND stage = :next AND sent_at IS NOT NULL AND claim_id IS NULL ORDER BY signal_id"
        ),
        {"ids": Uuids(chunk.ids), "send_no": chunk.send_no, "next": AFTER[stage][1]},
    )
    return list(found.scalars())
