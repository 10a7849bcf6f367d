"""The balance: every signal that was accepted has one disposition or is in flight within its time.

Counted in at ingest and out at every end, so what it costs grows with what is open, never with history.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.sql import bindparam

from revpipe import imbalance, in_flight, strays, tallies
from revpipe.db import transaction
from revpipe.imbalance import Off
from revpipe.in_flight import Stuck
from revpipe.services import Services

log = structlog.get_logger(__name__)

HOURS_BLAMED: Final = 5
"""How many hours that are off are looked through in one round."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The whole ledger at one instant. `dispositions` and `open_hours` count signals; `queues` counts due rows.

    `since` is when the keeper that feeds the queues came on duty, None if it is not known.
    """

    at: datetime
    accepted: int
    dispositions: Mapping[str, int]
    classes: Mapping[str, int]
    open_hours: Mapping[datetime, int]
    off: tuple[Off, ...]
    stuck: tuple[Stuck, ...]
    queues: Mapping[str, int]
    dead_letters: int
    since: datetime | None

    @property
    def open(self) -> int:
        """How many signals are open."""
        return sum(self.classes.values())

    @property
    def difference(self) -> int:
        """How many signals are off, hour by hour, so that a surplus here never hides a lack there."""
        return sum(abs(one.difference) for one in self.off)

    @property
    def holds(self) -> bool:
        """Whether all adds up and everything open is within its time."""
        return not self.off and not self.stuck

    def as_dict(self) -> dict[str, Any]:
        """The form that is stored and shown to machines: times as ISO 8601, ids as text."""
        return {
            "at": self.at.isoformat(),
            "accepted": self.accepted,
            "dispositions": dict(self.dispositions),
            "open": dict(self.classes),
            "difference": self.difference,
            "off": [
                {
                    "hour": one.hour.isoformat(),
                    "difference": one.difference,
                    **{kind: [str(key) for key in ids] for kind, ids in one.blamed.items()},
                }
                for one in self.off
            ],
            "stuck": [
                {
                    "cause": one.cause,
                    "count": one.count,
                    "queues": list(one.queues),
                    "signal_ids": [str(key) for key in one.signal_ids],
                }
                for one in self.stuck
            ],
            "queues_due": dict(self.queues),
            "dead_letters_open": self.dead_letters,
            "keeper_since": self.since.isoformat() if self.since else None,
        }


def watch(services: Services, since: datetime) -> Balance | None:
    """One round of the keeper that is on duty since `since`: fold, mend, compute, store, and give alarm on a change.

    None if the database did not let it: the next round tries again.
    """
    try:
        tallies.fold(services.engine)
        strays.bring_back(services)
        found = compute(services.engine, services.clock.now(), since)
        with transaction(services.engine) as tx:
            before = last(tx)
            _store(tx, found)
    except (OperationalError, InterfaceError) as error:
        log.warning("balance_not_computed", error=type(error).__name__)
        return None
    _tell(found, before)
    return found


def compute(engine: Engine, now: datetime, since: datetime | None) -> Balance:
    """The balance of this instant, all of it from one snapshot, so that work under way never looks like a loss.

    Nobody is blamed for rows that no worker took until the keeper has fed the queues for as long as that takes.
    """
    with snapshot(engine) as tx:
        should = tallies.should_be_open(tx)
        totals = tallies.totals(tx)
        flying = in_flight.read(tx, now, patient=since is None or now - since < in_flight.SLOW)
        queues = in_flight.due_by_queue(tx, now)
        letters = tx.execute(text("SELECT count(*) FROM dead_letters WHERE state = 'open'")).scalar_one()
    return Balance(
        at=now,
        accepted=totals.pop(tallies.ACCEPTED, 0),
        dispositions=totals,
        classes=flying.classes,
        open_hours=flying.hours,
        off=tuple(_off(engine, should, flying.hours)),
        stuck=flying.stuck,
        queues=queues,
        dead_letters=letters,
        since=since,
    )


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and all of whose questions see the same instant."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as tx:
        yield tx


def last(tx: Connection) -> dict[str, Any] | None:
    """The balance that the keeper stored last, in the form of `as_dict`; None before the first."""
    found: dict[str, Any] | None = tx.execute(text("SELECT found FROM balances WHERE name = 'last'")).scalar()
    return found


def _off(engine: Engine, should: Mapping[datetime, int], are: Mapping[datetime, int]) -> Iterator[Off]:
    differences = {
        hour: difference
        for hour in sorted({*should, *are}, reverse=True)
        if (difference := should.get(hour, 0) - are.get(hour, 0))
    }
    for at, (hour, difference) in enumerate(differences.items()):
        blamed = _blame(engine, hour) if at < HOURS_BLAMED else {}
        yield Off(hour, difference, blamed)


def _blame(engine: Engine, hour: datetime) -> dict[str, Any]:
    try:
        with snapshot(engine) as tx:
            return imbalance.blame(tx, hour)
    except (OperationalError, InterfaceError) as error:
        # The alarm must go out even if the hour is too long a one to be looked through.
        log.warning("hour_not_looked_through", hour=hour.isoformat(), error=type(error).__name__)
        return {}


def _store(tx: Connection, found: Balance) -> None:
    tx.execute(
        text(
            "INSERT INTO balances (name, at, found) VALUES ('last', :at, :found)"
            " ON CONFLICT (name) DO UPDATE SET at = excluded.at, found = excluded.found"
        ).bindparams(bindparam("found", type_=JSONB)),
        {"at": found.at, "found": found.as_dict()},
    )


def _tell(found: Balance, before: Mapping[str, Any] | None) -> None:
    """Alarm when what is off is another than a minute ago, not every minute anew."""
    now, then = found.as_dict(), before or {}
    if _marks(now) == _marks(then):
        return
    if found.holds:
        log.warning("balance_holds_again", accepted=found.accepted, open=found.open)
    else:
        log.error("balance_off", difference=found.difference, off=now["off"], stuck=now["stuck"])


def _marks(stored: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    """What an alarm is about. A queue without workers is one thing, however its backlog grows."""
    hours: Iterable[Mapping[str, Any]] = stored.get("off", ())
    causes: Iterable[Mapping[str, Any]] = stored.get("stuck", ())
    return {(one["hour"], one["difference"]) for one in hours} | {
        (one["cause"], *(one["queues"] if one["cause"] == "no_worker_took_it" else one["signal_ids"])) for one in causes
    }
