"""What people and processes ask of the ledger, at ten thousand and at a million signals, side by side.

`python -m tests.benchmarks.growth` fills a ledger of its own on embedded servers, which takes a few minutes, and writes
`docs/benchmarks/growth.md`. Both sizes have the same number of open signals, so that what differs is the past. The
questions are the product's own functions; medians of the rounds count, and the first round is thrown away.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from config.settings import Settings
from revpipe import (
    approvals,
    balance,
    bootstrap,
    causes,
    context_needs,
    dead_letters,
    feed,
    keeper,
    migrate,
    plan_history,
    queries,
    queue_states,
    sweep,
    unknowns,
)
from revpipe.clock import LedgerClock
from revpipe.db import make_engine, transaction
from revpipe.embedded.client import servers, wait_stopped
from revpipe.generating import fill
from revpipe.ports import DeadMessage
from revpipe.services import Services

PAGE: Final = Path(__file__).parents[2] / "docs" / "benchmarks" / "growth.md"
OPEN: Final = 2_000
QUEUE: Final = "enrich.low"


class RoomForOne:
    """A broker that takes one message at a time and forgets it: what is measured is the ledger."""

    def turn(self, queue: str) -> bool:
        """Always."""
        return True

    def gather(self, queue: str, rows: int) -> None:
        """There is always a turn."""

    def close(self) -> None:
        """It has no connections."""

    def room(self, queue: str) -> int:
        """Always one."""
        return 1

    def send(self, stage: str, queue: str, message: Mapping[str, Any], correlation_id: str, sent_at: datetime) -> None:
        """Taken."""

    def oldest(self, queue: str) -> datetime | None:
        """Nothing is ever in it."""
        return None

    def epoch(self) -> str | None:
        """It lives for ever."""
        return "one"

    def begin_epoch(self) -> str:
        """As before."""
        return "one"

    def take_dead(self, limit: int) -> Sequence[DeadMessage]:
        """It has none."""
        return ()

    def forget_dead(self, messages: Sequence[DeadMessage]) -> None:
        """It has none."""


def main() -> int:
    """Fill, ask, fill more, ask again, and tell."""
    parser = argparse.ArgumentParser(description="The ledger at two sizes.")
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=PAGE, help="the page; /dev/null for none")
    options = parser.parse_args()
    found: dict[int, dict[str, float]] = {}
    took: dict[int, float] = {}
    for size in (options.small, options.large):
        with _ledger() as services:
            began = time.monotonic()
            fill.fill(services.engine, fill.Wish(size, datetime.now(UTC), OPEN), _progress(size))
            took[size] = time.monotonic() - began
            # What autovacuum would do in time: the very same for both sizes.
            with services.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as raw:
                raw.execute(text("SET statement_timeout = 0"))
                raw.execute(text("VACUUM (ANALYZE)"))
            found[size] = _ask(services, options.rounds)
    lines = _lines(found, took, options)
    options.out.write_text(_page(lines, options.rounds), encoding="utf-8")
    sys.stderr.write("\n")
    table = Table(title=f"medians of {options.rounds} rounds, milliseconds; {OPEN} signals open in both")
    for head in lines[0]:
        table.add_column(head, justify="left" if head == "question" else "right")
    for line in lines[1:]:
        table.add_row(*line)
    Console().print(table)
    return 0


@contextmanager
def _ledger() -> Iterator[Services]:
    folder = Path(tempfile.mkdtemp(prefix="rv-"))
    try:
        yield from _opened(folder / "data")
    finally:
        wait_stopped(folder / "data")
        shutil.rmtree(folder)


def _opened(folder: Path) -> Iterator[Services]:
    with servers(folder) as lease:
        # VACUUM of a million takes longer than any statement of the product may.
        engine = make_engine(lease.database_url, pool_size=4, answer_seconds=900)
        migrate.upgrade(engine)
        shipped = (bootstrap.CONFIG / "sources.yaml").read_text(encoding="utf-8")
        settings = Settings(database_url=lease.database_url, redis_url=lease.redis_url)
        yield Services(
            settings=settings,
            engine=engine,
            dispatcher=RoomForOne(),
            clock=LedgerClock(),
            rules=bootstrap.load_rules(settings),
            policy=bootstrap.load_policy(),
            needs=context_needs.load(shipped),
        )
        engine.dispose()


def _progress(size: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        sys.stderr.write(f"\r{done} of {size} signals ")

    return tell


def _ask(services: Services, rounds: int) -> dict[str, float]:
    """Question → median milliseconds."""
    medians = {}
    for name, ask in _questions(services).items():
        times = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            ask()
            times.append((time.perf_counter() - began) * 1000)
            _put_back(services)
        medians[name] = statistics.median(times[1:])
    return medians


def _put_back(services: Services) -> None:
    """What a feed has sent is due again for the next round."""
    with transaction(services.engine) as tx:
        tx.execute(
            text("UPDATE signals SET sent_at = NULL WHERE queue = :queue AND sent_at IS NOT NULL"), {"queue": QUEUE}
        )


def _questions(services: Services) -> dict[str, Callable[[], object]]:
    def within(ask: Callable[[Connection], object]) -> Callable[[], object]:
        def asked() -> object:
            with transaction(services.engine) as tx:
                return ask(tx)

        return asked

    with transaction(services.engine) as tx:
        signal_id, deal, correlation = _one_that_acted(tx)
    now = services.clock.now
    return {
        "signals list": within(lambda tx: queries.latest_signals(tx, 30)),
        "signals of a deal": within(lambda tx: queries.latest_signals(tx, 30, deal)),
        "trace by signal": within(lambda tx: queries.story(tx, signal_id)),
        "trace by correlation": within(lambda tx: queries.signals_named(tx, str(correlation))),
        "approvals inbox": within(approvals.inbox),
        "causal page": within(lambda tx: causes.of_signal(services, tx, signal_id)),
        "approvals expiry": lambda: approvals.expire_due(services, limit=1),
        "dead letters list": within(dead_letters.listing),
        "unknown actions": within(unknowns.listing),
        "history of 50 deals": within(lambda tx: plan_history.read(tx, _subjects(tx), now())),
        "overview /": within(queries.open_signals),
        "queues, /metrics": within(lambda tx: queue_states.read(tx, now())),
        "sweep": lambda: sweep.sweep(services),
        "feed: queues due": within(
            lambda tx: tx.execute(text(keeper.QUEUES_DUE), {"queues": [QUEUE], "now": now()}).all()
        ),
        "feed: one chunk": lambda: feed.offer(services, [QUEUE]),
        "balance": lambda: balance.compute(services.engine, now(), None),
    }


def _one_that_acted(tx: Connection) -> tuple[uuid.UUID, str, uuid.UUID]:
    row = tx.execute(
        text(
            "SELECT signal_id, deal_id, correlation_id FROM signals WHERE disposition = 'acted'"
            " ORDER BY received_at OFFSET 1000 LIMIT 1"
        )
    ).one()
    return row.signal_id, row.deal_id, row.correlation_id


def _subjects(tx: Connection) -> list[str]:
    rows = tx.execute(text("SELECT deal_id FROM signals WHERE deal_id IS NOT NULL ORDER BY received_at DESC LIMIT 50"))
    return [f"deal:{one}" for one in rows.scalars()]


def _lines(
    found: Mapping[int, Mapping[str, float]], took: Mapping[int, float], options: argparse.Namespace
) -> list[tuple[str, str, str, str]]:
    small, large = found[options.small], found[options.large]
    return [
        ("question", f"{options.small:,}", f"{options.large:,}", "ratio"),
        *((one, f"{small[one]:.2f}", f"{large[one]:.2f}", f"{large[one] / small[one]:.2f}") for one in small),
        ("filled in", f"{took[options.small]:.0f} s", f"{took[options.large]:.0f} s", ""),
    ]


def _page(lines: Sequence[Sequence[str]], rounds: int) -> str:
    head, *rows = (f"| {' | '.join(line)} |" for line in lines)
    told = [
        "# What a long past costs",
        "",
        f"Made by `python -m tests.benchmarks.growth` on {datetime.now(UTC):%Y-%m-%d}: milliseconds, medians of",
        f"{rounds} rounds, on a ledger of so many signals, {OPEN:,} of them open in both. Throughput at both is in the",
        "[targets](README.md#targets). That nothing reads a large table whole is a test (docs/decisions/017).",
        "",
        head,
        "| --- | ---: | ---: | ---: |",
        *rows,
        "",
    ]
    return "\n".join(told)


if __name__ == "__main__":
    sys.exit(main())
