"""Stage enrich: ask the providers, keep who said what and when. Decides nothing, changes nothing outside."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from revpipe import bulk, cached_parts, call_history, contexts, failures, flights, schemas, stage, trail, work
from revpipe.columns import Uuids
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.errors import RevpipeError, Transient
from revpipe.ports import Part, Parts, Provider
from revpipe.rules import vocabulary
from revpipe.services import Services
from revpipe.signals import Signal
from revpipe.work import Chunk, Claim

STAGE = "enrich"
Known = dict[uuid.UUID, dict[str, Part]]
"""Signal → its parts by name, as far as they are known."""
Fetched = tuple[Signal, Part]
"""A part that a vendor was asked for, and for which signal."""


def run(chunk: Chunk, services: Services) -> Chunk | None:
    """Give each signal of the chunk its context and return those that go on to be decided."""
    return stage.run(STAGE, chunk, services, _enrich)


def _enrich(held: Claim, services: Services) -> stage.HandOn:
    signals: dict[uuid.UUID, Signal] = {}
    failed: list[failures.Failure] = []
    rows = {row["signal_id"]: row for row in held.rows}
    for row in held.rows:
        try:
            signals[row["signal_id"]] = schemas.stored_signal(row)
        except RevpipeError as error:
            failed.append(failures.Failure(row, error))
    now = services.clock.now()
    with transaction(services.engine) as tx:
        held_ids = {"ids": Uuids(signals)}
        stored = set(tx.scalars(sql("SELECT signal_id FROM contexts WHERE signal_id = ANY(:ids)"), held_ids))
        todo = [signal for key, signal in signals.items() if key not in stored]
        found = recall(tx, todo, services, now)
    keys = {signal.signal_id: cached_parts.key_of(signal) for signal in todo if _lacks_cached(signal, found, services)}
    with services.flights.begin(key for key in keys.values() if key) as flown:
        gathered, fetched = _gather_once(todo, found, keys, flown, services, now)
        made: dict[uuid.UUID, Parts] = {}
        for signal in todo:
            outcome = gathered[signal.signal_id]
            if isinstance(outcome, RevpipeError):
                failed.append(failures.Failure(rows[signal.signal_id], outcome))
            else:
                made[signal.signal_id] = outcome
        return _record(held, services, signals, made, fetched, failed)


def recall(tx: Connection, signals: Sequence[Signal], services: Services, now: datetime) -> Known:
    """The parts that the ledger itself has: the calls of each signal, and what was fetched lately."""
    found: Known = {signal.signal_id: {} for signal in signals}
    if signals:
        for key, part in call_history.parts(tx, signals, now).items():
            found[key]["calls"] = part
        cached_parts.recall(tx, signals, services.needs, found, now)
    return found


def _lacks_cached(signal: Signal, found: Known, services: Services) -> bool:
    """Whether a part has to be asked for that could serve others as well."""
    return bool(cached_parts.serving(signal, services.needs) - set(found[signal.signal_id]))


def _gather_once(
    signals: Sequence[Signal],
    found: Known,
    keys: Mapping[uuid.UUID, str | None],
    flown: flights.Keys,
    services: Services,
    now: datetime,
) -> tuple[Mapping[uuid.UUID, Parts | RevpipeError], Sequence[Fetched]]:
    """As `gather`, but what another thread is asking for right now is waited for, and not asked for as well."""
    later = [signal for signal in signals if keys.get(signal.signal_id) in flown.others]
    first = [signal for signal in signals if keys.get(signal.signal_id) not in flown.others]
    gathered, fetched = gather(first, found, services, now)
    for signal, part in fetched:
        key = keys.get(signal.signal_id)
        if key and part.complete:
            flown.own[key].parts[part.name] = part
    flown.land()
    if not later:
        return gathered, fetched
    flown.wait()
    for signal in later:
        names = cached_parts.serving(signal, services.needs)
        for part in flown.others[keys[signal.signal_id] or ""].parts.values():
            if part.name in names and part.fetched_at >= signal.fired_at:
                found[signal.signal_id][part.name] = part
    more, also = gather(later, found, services, now)
    return {**gathered, **more}, [*fetched, *also]


def gather(
    signals: Sequence[Signal], found: Known, services: Services, now: datetime
) -> tuple[Mapping[uuid.UUID, Parts | RevpipeError], Sequence[Fetched]]:
    """All parts that the signals need, in addition to those `found`; and those of them that were asked for now.

    A required part that can't be had is the signal's error. An optional part that can't be had now is there, marked
    incomplete.
    """
    needs = {signal.signal_id: services.needs.of(signal) for signal in signals}
    broken: dict[uuid.UUID, RevpipeError] = {}
    fetched: list[Fetched] = []
    for provider in services.providers:
        wanted = {
            signal.signal_id: (needs[signal.signal_id].wanted & set(provider.parts)) - set(found[signal.signal_id])
            for signal in signals
        }
        asked = [signal for signal in signals if wanted[signal.signal_id]]
        for signal, outcome in _ask(provider, asked, wanted):
            if isinstance(outcome, RevpipeError):
                broken[signal.signal_id] = outcome
            else:
                found[signal.signal_id].update(outcome)
                fetched += [(signal, part) for part in outcome.values()]
    outcomes = {signal.signal_id: _outcome(signal, needs[signal.signal_id], found, broken, now) for signal in signals}
    return outcomes, fetched


def _ask(
    provider: Provider, signals: Sequence[Signal], wanted: Mapping[uuid.UUID, frozenset[str]]
) -> list[tuple[Signal, Parts | RevpipeError]]:
    if not signals:
        return []
    try:
        answers = provider.fetch(signals, {signal.signal_id: wanted[signal.signal_id] for signal in signals})
    except RevpipeError as error:
        return [(signal, error) for signal in signals]
    silent = Transient(f"{provider.name} gave no answer for this signal")
    return [(signal, answers.get(signal.signal_id, silent)) for signal in signals]


def _outcome(
    signal: Signal,
    need: Any,
    found: Mapping[uuid.UUID, dict[str, Part]],
    broken: Mapping[uuid.UUID, RevpipeError],
    now: datetime,
) -> Parts | RevpipeError:
    parts = dict(found[signal.signal_id])
    error = broken.get(signal.signal_id)
    for name in sorted(need.required):
        kept_from = parts[name].error if name in parts else error
        if kept_from is not None:
            return kept_from
    for name in need.wanted - set(parts):
        why = error.code if error else "no_provider"
        parts[name] = Part(name, "none", now, None, complete=error is None, missing=why)
    return parts


def _record(
    held: Claim,
    services: Services,
    signals: Mapping[uuid.UUID, Signal],
    made: Mapping[uuid.UUID, Parts],
    fetched: Sequence[Fetched],
    failed: Sequence[failures.Failure],
) -> stage.HandOn:
    now = services.clock.now()
    room = stage.next_has_room(STAGE, held, services)
    crash_point("enrich.worked", held.rows)
    with transaction(services.engine) as tx:
        ours = set(work.still_held(tx, held))
        broken = {failure.row["signal_id"] for failure in failed}
        good = [row for row in held.rows if row["signal_id"] in ours and row["signal_id"] not in broken]
        _store(tx, signals, {key: made[key] for key in made if key in ours}, now)
        known: dict[uuid.UUID, Parts] = dict(made)
        known.update(contexts.read(tx, [row["signal_id"] for row in good if row["signal_id"] not in made]))
        moved = []
        entries = []
        for row in good:
            parts = known[row["signal_id"]]
            priority = _priority(signals[row["signal_id"]], parts, row["priority"], services, now)
            moved.append({**row, "priority": priority, "was_priority": row["priority"]})
            entries.append(_entry(row, parts, priority, held, now))
        handed = stage.hand_on(tx, STAGE, moved, now, room=room)
        trail.record(tx, now, entries)
        failures.settle_signals(tx, STAGE, [one for one in failed if one.row["signal_id"] in ours], now)
        # Whosever the rows are by now: what a vendor said is true for others, too. Last, as in a replay, since the
        # same parts may be in the hands of others.
        cached_parts.remember(tx, fetched, services.needs)
        crash_point("enrich.written", held.rows)
    return handed


def _priority(signal: Signal, parts: Parts, present: str, services: Services, now: datetime) -> str:
    """The urgency scored again with what is now known."""
    return services.rules.urgency(vocabulary.facts(signal, parts, {}, now), present)


def _store(tx: Connection, signals: Mapping[uuid.UUID, Signal], made: Mapping[uuid.UUID, Parts], now: datetime) -> None:
    rows = [
        {
            "signal_id": key,
            "schema_version": contexts.SCHEMA_VERSION,
            "subject": contexts.subject(signals[key], made[key]),
            "parts": contexts.dump(made[key]),
            "complete": all(part.complete for part in made[key].values()),
            "created_at": now,
        }
        for key in sorted(made)
    ]
    bulk.insert(tx, "contexts", rows)


def _entry(row: Mapping[str, Any], parts: Parts, priority: str, held: Claim, now: datetime) -> trail.Entry:
    detail = stage.timing(row, held, now)
    detail["parts"] = {name: part.missing or part.provider for name, part in sorted(parts.items())}
    if priority != row["priority"]:
        detail["urgency"] = [row["priority"], priority]
    return trail.Entry("enriched", row["signal_id"], None, row["correlation_id"], detail)
