"""What one thread is asking vendors for, another waits for; it asks itself where nothing came of that."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from revpipe import enrich
from revpipe.errors import RevpipeError, Transient
from revpipe.flights import Flights
from revpipe.ports import Parts
from revpipe.services import Services
from revpipe.signals import Signal
from tests.integration.ledger_fixtures import FakeProvider, MovableClock, call, put, sent, signal_id, signal_row


class SlowProvider(FakeProvider):
    """Answers its first question only when it is told to, and then perhaps with an error."""

    def __init__(self, clock: MovableClock) -> None:
        super().__init__(clock)
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.fails = False

    def fetch(
        self, signals: Sequence[Signal], wanted: Mapping[Any, frozenset[str]]
    ) -> Mapping[Any, Parts | RevpipeError]:
        first = not self.calls
        found = super().fetch(signals, wanted)
        if first:
            self.asked.set()
            assert self.answers.wait(10)
            if self.fails:
                raise Transient("the vendor hung up")
        return found


@pytest.fixture
def slow(clock: MovableClock) -> SlowProvider:
    return SlowProvider(clock)


@pytest.fixture
def asking(make_services: Callable[..., Services], slow: SlowProvider) -> Services:
    return make_services(providers=(slow,))


@contextmanager
def under_way(services: Services, slow: SlowProvider) -> Iterator["tuple[ThreadPoolExecutor, Future[Any]]"]:
    """A first chunk, about deal d1, whose thread is asking for the length of the block."""
    put(services, call("first", "d1", age_s=5))
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    with ThreadPoolExecutor(2) as pool:
        asks = pool.submit(enrich.run, chunk, services)
        try:
            assert slow.asked.wait(10)
            yield pool, asks
        finally:
            slow.answers.set()
        asks.result(10)


def run_others(services: Services, pool: ThreadPoolExecutor) -> "Future[Any]":
    """Start the chunk that was sent since."""
    chunk = sent(services, "signals", "stage = 'enrich'")[-1]
    return pool.submit(enrich.run, chunk, services)


def test_what_another_asks_for_is_waited_for(asking: Services, slow: SlowProvider) -> None:
    with under_way(asking, slow) as (pool, _):
        put(asking, call("again", "d1", age_s=5), call("other", "d2", age_s=5))
        second = run_others(asking, pool)
        deadline = time.monotonic() + 10
        while len(slow.calls) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert slow.calls[1] == [signal_id("other")], "of its own deal it asks at once"
        assert not second.done()
        slow.answers.set()
        second.result(10)
    assert len(slow.calls) == 2
    assert signal_row(asking, "again")["state"] == signal_row(asking, "other")["state"] == "enriched"


def test_where_the_other_learned_nothing_one_asks_oneself(asking: Services, slow: SlowProvider) -> None:
    slow.fails = True
    with under_way(asking, slow) as (pool, _):
        put(asking, call("again", "d1", age_s=5))
        second = run_others(asking, pool)
        slow.answers.set()
        second.result(10)
    assert slow.calls == [[signal_id("first")], [signal_id("again")]]
    assert signal_row(asking, "again")["state"] == "enriched"


def test_what_was_asked_before_the_signal_fired_is_not_taken(
    asking: Services, slow: SlowProvider, clock: MovableClock
) -> None:
    with under_way(asking, slow) as (pool, _):
        clock.move(seconds=60)
        put(asking, call("younger", "d1", age_s=1))
        second = run_others(asking, pool)
        slow.answers.set()
        second.result(10)
    assert slow.calls == [[signal_id("first")], [signal_id("younger")]]


def test_keys_are_known_to_others_until_the_end_of_the_block_and_no_longer() -> None:
    flights = Flights()
    with flights.begin(["a", "b"]) as one:
        one.land()
        with flights.begin(["b", "c"]) as two:
            assert (set(one.own), set(two.own), set(two.others)) == ({"a", "b"}, {"c"}, {"b"})
            two.wait(0.0)
        with suppress(ZeroDivisionError), flights.begin(["c"]) as three:
            assert set(three.own) == {"c"}
            raise ZeroDivisionError
    with flights.begin(["a", "b", "c"]) as last:
        assert set(last.own) == {"a", "b", "c"}


def test_who_waits_for_nothing_loses_patience() -> None:
    flights = Flights()
    with flights.begin(["a"]), flights.begin(["a"]) as two:
        began = time.monotonic()
        two.wait(0.05)
        assert 0.04 < time.monotonic() - began < 5
