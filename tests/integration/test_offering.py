"""Sending on from the web process: at once where a queue runs dry, in a moment where messages wait."""

import threading
import time
from collections.abc import Callable

import pytest

from config.queues import QUEUES
from revpipe import feed
from revpipe.offering import REST_SECONDS, RESTS, Offering
from revpipe.services import Services
from tasks.dispatch import CeleryDispatcher
from tests.broker_control import BrokerControl
from tests.integration.ledger_fixtures import call, put, rows, take_messages

QUEUE = "enrich.standard"


def came_true(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def waiting(services: Services, *names: str) -> None:
    """Signals in the ledger that nobody has sent, and no message."""
    put(services, *(call(name, f"deal-{name}") for name in names))
    rows(services, "UPDATE signals SET sent_at = NULL")
    take_messages(services, "enrich")


def sent(services: Services) -> int:
    """How many signals have been sent."""
    return int(rows(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NOT NULL")[0]["n"])


def offering_threads() -> int:
    """How many threads of this process offer; those of earlier tests stay."""
    return sum(thread.name == "offering" for thread in threading.enumerate())


def test_a_queue_that_runs_dry_is_sent_to_at_once(services: Services, broker: BrokerControl) -> None:
    waiting(services, "a")
    Offering(services).soon([QUEUE])
    assert came_true(lambda: broker.count(QUEUE) == 1)


def test_what_comes_while_a_message_waits_is_sent_once_that_is_taken(services: Services, broker: BrokerControl) -> None:
    for name in ("a", "b", "c"):
        put(services, call(name, f"deal-{name}"))
    assert broker.count(QUEUE) == feed.ENOUGH
    before = sent(services)
    offering = Offering(services)
    offering.soon([QUEUE])
    time.sleep(3 * REST_SECONDS)
    assert sent(services) == before
    take_messages(services, "enrich")
    assert came_true(lambda: sent(services) == 3, seconds=RESTS * REST_SECONDS + 5)


def test_a_full_chunk_leaves_at_once_and_less_waits_its_turn(
    services: Services, broker: BrokerControl, dispatcher: CeleryDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "gathers", True)
    dispatcher.broker.prolong(QUEUE, 60)
    waiting(services, "a", "b")
    offering, chunk = Offering(services), QUEUES[QUEUE].chunk
    offering.soon([QUEUE], 2)
    time.sleep(3 * REST_SECONDS)
    assert broker.count(QUEUE) == 0
    waiting(services, *(f"c{number}" for number in range(chunk)))
    offering.soon([QUEUE], chunk)
    assert came_true(lambda: broker.count(QUEUE) > 0)
    assert sent(services) >= chunk


def test_a_queue_that_nobody_works_is_left_to_the_keeper(services: Services) -> None:
    for name in ("a", "b", "c"):
        put(services, call(name, f"deal-{name}"))
    offering = Offering(services)
    offering.soon([QUEUE])
    assert came_true(lambda: not offering._resting and not offering._rests, seconds=RESTS * REST_SECONDS + 10)


def test_many_callers_share_one_thread(services: Services) -> None:
    waiting(services, "a", "b", "c")
    offering, before = Offering(services), offering_threads()
    threads = [threading.Thread(target=offering.soon, args=([QUEUE],)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert came_true(lambda: sent(services) == 3)
    assert offering_threads() == before + 1
