"""Hosts whose clocks differ mean the same moment: the ledger server's."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import Engine

from revpipe.clock import SLOW, LedgerClock
from revpipe.db import make_engine, server_time, transaction

CLOSE = timedelta(seconds=0.5)


@pytest.fixture
def clock() -> LedgerClock:
    return LedgerClock()


@pytest.fixture
def engine(ledger_url: str, clock: LedgerClock) -> Iterator[Engine]:
    made = make_engine(ledger_url, pool_size=1, clock=clock)
    yield made
    made.dispose()


def at_server(engine: Engine) -> datetime:
    with transaction(engine) as tx:
        return server_time(tx)


@pytest.mark.parametrize("off", [timedelta(seconds=45), timedelta(days=-2)])
def test_a_host_that_is_off_goes_by_the_servers_time(engine: Engine, clock: LedgerClock, off: timedelta) -> None:
    with time_machine.travel(datetime.now(UTC) + off, tick=True):
        told = at_server(engine)
        assert abs(datetime.now(UTC) - told) > abs(off) - CLOSE
        assert abs(clock.now() - told) < CLOSE


def test_a_clock_that_is_set_while_the_process_runs_changes_nothing(engine: Engine, clock: LedgerClock) -> None:
    told = at_server(engine)
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True):
        assert abs(clock.now() - told) < CLOSE


def test_it_goes_on_between_answers_and_hears_of_changes_at_the_server() -> None:
    clock = LedgerClock()
    began = time.monotonic()
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock.hear(first, began, began)
    later = clock.now()
    assert first <= later < first + timedelta(seconds=5)
    assert clock.now() >= later
    clock.hear(first + timedelta(minutes=1), time.monotonic(), time.monotonic())
    assert clock.now() >= first + timedelta(minutes=1)


def test_a_slow_answer_is_better_than_none_and_worse_than_an_earlier_one() -> None:
    clock = LedgerClock()
    now = time.monotonic()
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)
    clock.hear(first, now - 2 * SLOW, now)
    assert clock.now() >= first + timedelta(seconds=SLOW)
    clock.hear(first + timedelta(days=1), now - 2 * SLOW, now)
    assert clock.now() < first + timedelta(hours=1)


def test_before_the_first_answer_it_is_the_hosts_own() -> None:
    assert abs(LedgerClock().now() - datetime.now(UTC)) < CLOSE
