"""Fill a ledger with a realistic past, for measuring how revpipe does when its tables are large."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from revpipe import migrate, tallies
from revpipe.db import transaction
from revpipe.generating import mix
from revpipe.generating.statements import FILL, FOREIGN, MADE

DAYS: Final = 30
BATCH: Final = 20_000
"""Signals to a transaction: each of its statements takes a second or two. A multiple of 4, the size of a delivery."""
QUIET: Final = timedelta(hours=3)
"""What has ended is older than this: a person needs up to an hour and a half for a word."""
OPEN_SHARE: Final = 0.01
SIGNALS_PER_DEAL: Final = 40
GROWING: Final = (
    *(
        "signals",
        "contexts",
        "plans",
        "actions",
        "approvals",
        "approval_requests",
        "trail",
        "deliveries",
        "dead_letters",
    ),
    *("cached_parts", "counters"),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """How much to make: `count` signals that came in before `now`, `open` of them not ended (None: one per cent)."""

    count: int
    now: datetime
    open: int | None = None
    days: int = DAYS
    batch: int = BATCH
    jobs: int = 2
    """Transactions at a time; as many connections are used."""

    @property
    def closed(self) -> int:
        """How many of them have ended."""
        return self.count - (round(self.count * OPEN_SHARE) if self.open is None else self.open)


def foreign(tx: Connection) -> bool:
    """Whether the ledger holds a signal that was not generated."""
    return tx.execute(text(FOREIGN)).first() is not None


def fill(engine: Engine, wish: Wish, tell: Callable[[int], None] = lambda _: None) -> None:
    """Add the signals, with all that a product's run would have left of them. `tell` hears how many there are.

    Each batch is a transaction of its own with its tallies, so the balance holds even if this is broken off.
    """
    with transaction(engine) as tx:
        for back in range(0, wish.days + 28, 28):
            migrate.ensure_partitions(tx, wish.now - timedelta(days=back))
        tx.execute(
            text("INSERT INTO rule_versions (version, source) VALUES ('generated', 'rules: []') ON CONFLICT DO NOTHING")
        )
    values = _values(wish)
    done, lock = 0, threading.Lock()

    def make(span: tuple[int, int]) -> None:
        nonlocal done
        with transaction(engine) as tx:
            _one_batch(tx, {**values, "first": span[0], "last": span[1]})
        with lock:
            done += span[1] - span[0] + 1
            tell(done)

    with ThreadPoolExecutor(wish.jobs) as pool:
        list(pool.map(make, _spans(wish)))
    tallies.fold(engine)
    for table in GROWING:
        with transaction(engine) as tx:
            tx.execute(text(f"ANALYZE {table}"))


def _one_batch(tx: Connection, values: dict[str, Any]) -> None:
    # A lost batch is made again: nobody was told that it is there.
    tx.execute(text("SET LOCAL synchronous_commit = off"))
    for statement in (MADE, *FILL):
        tx.execute(text(statement), values)


def _spans(wish: Wish) -> Iterator[tuple[int, int]]:
    for first in range(0, wish.count, wish.batch):
        yield first, min(first + wish.batch, wish.count) - 1


def _values(wish: Wish) -> dict[str, Any]:
    run = uuid.uuid4()
    return {
        "run": run.hex,
        "closed": wish.closed,
        "deals": max(50, wish.count // SIGNALS_PER_DEAL),
        # Open actions are unique for their deal, also among those of another run.
        "offset": run.int % 900 * 1_000_000,
        "now": wish.now,
        "start": wish.now - timedelta(days=wish.days),
        "until": wish.now - QUIET,
        "kinds": json.dumps([*_kinds(mix.SHARES, closed=True), *_kinds(mix.OPEN_SHARES, closed=False)]),
        "acts": json.dumps(_acts()),
        "steps": json.dumps(
            [{**asdict(one), "step": at, "detail": json.loads(one.detail)} for at, one in enumerate(mix.steps())]
        ),
    }


def _kinds(shares: dict[str, int], *, closed: bool) -> Iterator[dict[str, Any]]:
    low = 0
    for kind, share in shares.items():
        disposition, reason = mix.ENDINGS[kind] if closed else (None, None)
        state, stage = ("done", None) if closed else mix.STANDS[kind]
        yield {
            "kind": kind,
            "open": not closed,
            "low": low,
            "high": low + share,
            "state": state,
            "stage": stage,
            "disposition": disposition,
            "reason": reason,
        }
        low += share


def _acts() -> list[dict[str, Any]]:
    places: dict[str, int] = {}
    found = []
    for one in mix.ACTS:
        at = places.get(one.kind, 0)
        places[one.kind] = at + 1
        found.append({**asdict(one), "act": at})
    return found
