"""Replaying dead letters and signals: told beforehand, one by one, paced by the ledger, and audited."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import audit, dead_letters, feed, forecasts, payloads, reopening, rereading, schemas, trail
from revpipe.db import transaction, unless_deadlocked
from revpipe.errors import Permanent
from revpipe.forecasts import Forecast
from revpipe.reopening import Command
from revpipe.services import Services

RATE: Final = 10.0
"""Replays a second, if nobody says otherwise: what the slowest vendor's own limit lets through."""
FORECAST_AT_ONCE: Final = 200
STAGES: Final = ("enrich", "decide", "execute")


@dataclass(frozen=True, slots=True)
class Word:
    """Who gives a command, how it was put (for the audit), and how many things a second it may set going."""

    actor: str
    command: str
    rate: float = RATE
    how: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """Which signals are meant, by when they were received; what is None is not asked."""

    since: datetime
    until: datetime
    source: str | None = None
    event: str | None = None
    disposition: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one replay: `replayed`, `refused` (the forecast says why), `over`, or `still_bad`."""

    forecast: Forecast
    outcome: str
    reason: str | None = None
    signals: tuple[uuid.UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a command; `audit_id` is its row in the operator audit."""

    audit_id: uuid.UUID
    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many by outcome."""
        return dict(Counter(one.outcome for one in self.results))


def letter_forecasts(services: Services, ids: Sequence[uuid.UUID]) -> Iterator[Forecast]:
    """What replaying these dead letters would do; reads only."""
    yield from _told(services, ids, lambda tx, one: _readable(services, tx, forecasts.of_letter(tx, one)))


def signal_forecasts(services: Services, ids: Sequence[uuid.UUID], stage: str | None) -> Iterator[Forecast]:
    """What replaying these signals would do; reads only."""
    yield from _told(services, ids, lambda tx, one: forecasts.of_signal(tx, one, stage))


def in_period(tx: Connection, period: Period) -> list[uuid.UUID]:
    """The signals that were received in a period, the oldest in front."""
    rows = tx.execute(
        text(
            "SELECT signal_id FROM signals WHERE received_at >= :since AND received_at < :until"
            " AND (CAST(:source AS text) IS NULL OR source = :source)"
            " AND (CAST(:event AS text) IS NULL OR event = :event)"
            " AND (CAST(:disposition AS text) IS NULL OR disposition = :disposition) ORDER BY received_at, signal_id"
        ),
        {name: getattr(period, name) for name in Period.__slots__},
    )
    return list(rows.scalars())


def letters(services: Services, ids: Sequence[uuid.UUID], word: Word) -> Report:
    """Replay dead letters, each in a transaction of its own, due one after the other at the word's rate."""
    return _each(services, ids, word, _letter)


def signals(
    services: Services,
    ids: Sequence[uuid.UUID],
    word: Word,
    stage: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Report:
    """Replay signals from `stage` (None: where each failed, else decide), one of them with a corrected payload.

    Raises Permanent if a payload is given for several signals, or for a replay that would not look at it;
    BadPayload if it breaks the signal's schema.
    """
    if payload is not None:
        if len(ids) != 1:
            raise Permanent("a corrected payload is for one signal")
        if stage == "execute":
            raise Permanent("a corrected payload changes nothing from execute on; replay from enrich or decide")
        stage = stage or "enrich"
        check_payload(services, ids[0], payload)

    def one(tx: Connection, signal_id: uuid.UUID, _: Services, command: Command) -> tuple[Result, Sequence[str]]:
        return _signal(tx, signal_id, stage, replace(command, payload=payload))

    return _each(services, ids, word, one)


def check_payload(services: Services, signal_id: uuid.UUID, payload: Mapping[str, Any]) -> None:
    """Raise BadPayload unless the ledger can hold `payload` and the signal keeps to its schema with it."""
    payloads.check_storable(dict(payload))
    with transaction(services.engine) as tx:
        row = tx.execute(text("SELECT * FROM signals WHERE signal_id = :id"), {"id": signal_id}).mappings().first()
    if row is None:
        raise Permanent(f"there is no signal {signal_id}")
    schemas.dump_signal(replace(schemas.stored_signal(dict(row)), payload=payload))


def discard(services: Services, ids: Sequence[uuid.UUID], word: Word, why: str) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """Close open letters for good, with the reason; returns the audit's id and the letters that were closed.

    Their signals stay dead-lettered, and say so in their trail.
    """
    now = services.clock.now()
    with transaction(services.engine) as tx:
        audit_id = _write_audit(tx, now, word, ids)
        closed = dead_letters.close(tx, ids, "discarded", word.actor, why, now)
        entries = [
            trail.Entry(
                "discarded",
                one["signal_id"],
                one["action_id"],
                one["correlation_id"],
                {"letter": str(one["letter_id"]), "audit": str(audit_id)},
            )
            for one in closed
            if one["signal_id"]
        ]
        trail.record(tx, now, entries)
        audit.complete(tx, audit_id, {"discarded": len(closed)})
    return audit_id, [one["letter_id"] for one in closed]


def _told(
    services: Services, ids: Sequence[uuid.UUID], tell: Callable[[Connection, uuid.UUID], Forecast]
) -> Iterator[Forecast]:
    for start in range(0, len(ids), FORECAST_AT_ONCE):
        with transaction(services.engine) as tx:
            batch = [tell(tx, one) for one in ids[start : start + FORECAST_AT_ONCE]]
        yield from batch


def _readable(services: Services, tx: Connection, told: Forecast) -> Forecast:
    """An ingest letter can only be read again by its own source."""
    if told.stage != "ingest" or told.refusal or told.letter_id is None:
        return told
    letter = dead_letters.show(tx, told.letter_id)
    if letter is None or letter["source"] in services.sources:
        return told
    return replace(told, refusal=f"no source is registered as {letter['source']!r}")


def _each(
    services: Services,
    ids: Sequence[uuid.UUID],
    word: Word,
    do: Callable[[Connection, uuid.UUID, Services, Command], tuple[Result, Sequence[str]]],
) -> Report:
    """Do each in its own transaction. What is set going waits in the ledger for its turn, so that nobody has to."""
    began = services.clock.now()
    with transaction(services.engine) as tx:
        audit_id = _write_audit(tx, began, word, ids)
    results: list[Result] = []
    queues: dict[str, None] = {}
    turn = 0
    for item in dict.fromkeys(ids):
        now = services.clock.now()
        due = max(now, began + timedelta(seconds=turn / word.rate))
        command = Command(audit_id, word.actor, due, now)
        result, offered = unless_deadlocked(services.engine, partial(_in, do, item, services, command))
        results.append(result)
        queues.update(dict.fromkeys(offered))
        turn += result.outcome == "replayed"
    report = Report(audit_id, tuple(results))
    with transaction(services.engine) as tx:
        audit.complete(tx, audit_id, report.counts)
    feed.offer(services, queues)
    return report


def _in(
    do: Callable[[Connection, uuid.UUID, Services, Command], tuple[Result, Sequence[str]]],
    item: uuid.UUID,
    services: Services,
    command: Command,
    tx: Connection,
) -> tuple[Result, Sequence[str]]:
    return do(tx, item, services, command)


def _letter(tx: Connection, letter_id: uuid.UUID, services: Services, command: Command) -> tuple[Result, Sequence[str]]:
    # A first look without locks: what is in flight is refused without waiting for whoever holds it.
    told = _readable(services, tx, forecasts.of_letter(tx, letter_id))
    if told.refusal and not told.over and told.stage != "ingest":
        # Its signal may be in flight because this very letter was replayed just after the letter was read.
        told = forecasts.of_letter(tx, letter_id)
    if not told.refusal:
        if told.signal_id:
            reopening.lock_subjects(tx, told.signal_id)
        told = forecasts.of_letter(tx, letter_id, lock=True)
    if told.over:
        dead_letters.close(tx, [letter_id], "replayed", command.actor, told.refusal, command.now)
    if told.refusal:
        return _not_done(told)
    if told.stage == "ingest":
        return _reread(tx, told, services, command)
    return Result(told, "replayed"), reopening.resume(tx, told, command)


def _reread(tx: Connection, told: Forecast, services: Services, command: Command) -> tuple[Result, Sequence[str]]:
    letter = dead_letters.show(tx, told.letter_id) if told.letter_id else None
    if letter is None:
        return Result(told, "refused", "there is no such dead letter"), ()
    found = rereading.reread(tx, letter, services, command)
    if found.still:
        return Result(told, "still_bad", found.still), ()
    return Result(told, "replayed", signals=found.fresh), found.queues


def _signal(tx: Connection, signal_id: uuid.UUID, stage: str | None, command: Command) -> tuple[Result, Sequence[str]]:
    told = forecasts.of_signal(tx, signal_id, stage)
    if not told.refusal:
        reopening.lock_subjects(tx, signal_id)
        told = forecasts.of_signal(tx, signal_id, stage, lock=True)
    if told.refusal:
        return _not_done(told)
    return Result(told, "replayed"), reopening.resume(tx, told, command)


def _not_done(told: Forecast) -> tuple[Result, Sequence[str]]:
    return Result(told, "over" if told.over else "refused", told.refusal), ()


def _write_audit(tx: Connection, now: datetime, word: Word, ids: Sequence[uuid.UUID]) -> uuid.UUID:
    kept = [str(one) for one in ids[: audit.IDS_KEPT]]
    detail = {**(word.how or {}), "count": len(ids), "ids": kept}
    return audit.write(tx, now, word.actor, word.command, detail)
