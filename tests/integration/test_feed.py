"""Feeding the queues: no more than there is room for, in chunks of the queue's size, each row once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from config.queues import QUEUES, WAITING
from revpipe import feed
from revpipe.services import Services
from tasks import dispatch
from tasks.dispatch import CeleryDispatcher
from tests.broker_control import BrokerControl, RedisControl
from tests.integration.ledger_fixtures import MovableClock, at_once, call, one, put, rows, run_stage, sent, signal_id


def waiting(services: Services, count: int, urgency: str = "high") -> str:
    """Signals in the ledger that nobody has sent; returns their queue."""
    put(services, *(call(f"c{number}", f"d{number}", urgency=urgency) for number in range(count)))
    unsend(services)
    return f"enrich.{urgency}"


def unsend(services: Services) -> None:
    rows(services, "UPDATE signals SET sent_at = NULL")


def messages(broker: BrokerControl, queue: str) -> list[dict[str, Any]]:
    """The task arguments of a queue's messages, the oldest first."""
    return [held.argument for held in broker.messages(queue)]


def test_messages_hold_ids_and_numbers_in_the_order_of_their_falling_due(
    services: Services, broker: BrokerControl, clock: MovableClock
) -> None:
    first = put(services, call("a"))
    clock.move(seconds=1)
    put(services, call("b"))
    unsend(services)
    broker.flush()
    assert feed.offer(services, ["enrich.standard"]) == 2
    (message,) = messages(broker, "enrich.standard")
    stored = rows(services, "SELECT signal_id, send_no FROM signals ORDER BY due_at")
    assert message == {
        "v": 1,
        "send": stored[0]["send_no"],
        "ids": [str(row["signal_id"]) for row in stored],
    }
    assert str(first.correlation_id) not in str(broker.messages("enrich.standard"))


def test_what_came_together_leaves_in_the_order_in_which_it_stood(services: Services, broker: BrokerControl) -> None:
    names = [f"c{number}" for number in range(20)]
    put(services, *(call(name, name) for name in names))
    (message,) = messages(broker, "enrich.standard")
    assert message["ids"] == [str(signal_id(name)) for name in names]


def test_a_message_of_one_delivery_carries_its_correlation_id(services: Services, broker: BrokerControl) -> None:
    receipt = put(services, call("a"), call("b", "d2"))
    headers = broker.messages("enrich.standard")[0].headers
    assert headers["revpipe_cid"] == str(receipt.correlation_id)


@pytest.mark.parametrize("urgency", ["immediate", "high", "standard", "low"])
def test_the_queue_is_filled_to_its_depth_and_no_further(
    services: Services, broker: BrokerControl, urgency: str
) -> None:
    queue = QUEUES[f"enrich.{urgency}"]
    extra = 3
    waiting(services, min(queue.depth * queue.chunk, 250) + extra, urgency)
    broker.flush()
    left = feed.offer(services, [queue.name])
    found = messages(broker, queue.name)
    sizes = [len(message["ids"]) for message in found]
    assert sum(sizes) == left
    assert max(sizes) <= queue.chunk
    assert len(found) <= queue.depth
    if queue.depth * queue.chunk <= 250:
        assert sizes == [queue.chunk] * queue.depth
        assert one(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NULL") == {"n": extra}
        assert feed.offer(services, [queue.name]) == 0


def test_concurrent_feeders_send_no_row_twice(services: Services, broker: BrokerControl) -> None:
    queue = waiting(services, 100)
    broker.flush()
    left = at_once(6, lambda _: feed.offer(services, [queue]))
    ids = [row_id for message in messages(broker, queue) for row_id in message["ids"]]
    assert sum(left) == 100
    assert len(ids) == len(set(ids)) == 100


def test_what_is_not_due_yet_stays(services: Services, clock: MovableClock, broker: BrokerControl) -> None:
    queue = waiting(services, 2)
    rows(services, "UPDATE signals SET due_at = :due", due=clock.now().replace(year=clock.now().year + 1))
    assert feed.offer(services, [queue]) == 0
    clock.move(days=366)
    assert feed.offer(services, [queue]) == 2


def test_a_queue_named_twice_is_fed_once(services: Services, broker: BrokerControl) -> None:
    queue = waiting(services, 5)
    assert feed.offer(services, [queue, queue]) == 5


@pytest.fixture
def gathering(dispatcher: CeleryDispatcher, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Chunks that are not full leave one in a while, as they do outside of tests, only more seldom."""
    monkeypatch.setattr(dispatch, "GATHER_SECONDS", 2.0)
    monkeypatch.setattr(dispatch, "GATHER_MOST", 4.0)
    for queue in feed.GATHERED:
        dispatcher.broker.prolong(queue, 0.001)  # Turns of the test before, where the process keeps them.
    dispatcher.gathers = True
    yield
    dispatcher.gathers = False


def leaves_after(services: Services, queue: str) -> float:
    """Seconds until what is due in a queue leaves it."""
    began = time.monotonic()
    while not feed.offer(services, [queue]):
        assert time.monotonic() < began + 20
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.usefixtures("gathering")
@pytest.mark.parametrize("urgency", ["standard", "low"])
def test_what_follows_at_once_gathers_and_leaves_together(
    services: Services, broker: BrokerControl, urgency: str
) -> None:
    queue = f"enrich.{urgency}"
    for name in ("a", "b", "c", "d"):
        put(services, call(name, f"deal-{name}", urgency=urgency))
    assert [len(message["ids"]) for message in messages(broker, queue)] == [1]
    leaves_after(services, queue)
    assert [len(message["ids"]) for message in messages(broker, queue)] == [1, 3]


@pytest.mark.usefixtures("gathering")
def test_the_more_came_together_the_longer_the_next_ones_gather(services: Services) -> None:
    queue = "enrich.standard"
    put(services, call("a", "deal-a"), call("b", "deal-b"), call("c", "deal-c"))
    put(services, call("d", "deal-d"))
    assert leaves_after(services, queue) > 2.5


@pytest.mark.usefixtures("gathering")
def test_a_full_chunk_waits_for_nothing(services: Services, broker: BrokerControl) -> None:
    put(services, call("first"))
    full = QUEUES["enrich.standard"].chunk
    put(services, *(call(f"c{number}", f"d{number}") for number in range(full)))
    assert [len(message["ids"]) for message in messages(broker, "enrich.standard")] == [1, full]


@pytest.mark.usefixtures("gathering")
@pytest.mark.parametrize("urgency", ["immediate", "high"])
def test_what_is_urgent_waits_for_no_company(services: Services, broker: BrokerControl, urgency: str) -> None:
    for name in ("a", "b", "c"):
        put(services, call(name, f"deal-{name}", urgency=urgency))
    assert [len(message["ids"]) for message in messages(broker, f"enrich.{urgency}")] == [1, 1, 1]


@contextmanager
def refusing(broker: BrokerControl, request: pytest.FixtureRequest) -> Iterator[None]:
    """The broker takes nothing: Redis refuses as a full one does, RabbitMQ answers nobody."""
    if isinstance(broker, RedisControl):
        broker.client.config_set("maxmemory", "1")
        try:
            yield
        finally:
            broker.client.config_set("maxmemory", "0")
    else:
        with request.getfixturevalue("rabbit").frozen():
            yield


def test_a_broker_that_takes_nothing_is_no_error_and_nothing_is_lost(
    services: Services, broker: BrokerControl, request: pytest.FixtureRequest
) -> None:
    with refusing(broker, request):
        receipt = put(services, call("a"))
    assert receipt.accepted == 1
    assert broker.count("enrich.standard") == 0
    assert one(services, "SELECT stage, state, claim_id FROM signals") == {
        "stage": "enrich",
        "state": "received",
        "claim_id": None,
    }


def test_a_full_next_queue_takes_rows_out_of_the_chain_but_not_out_of_sight(
    services: Services, broker: BrokerControl
) -> None:
    put(services, call("a"))
    broker.put("decide.standard", QUEUES["decide.standard"].depth)
    run_stage(services, "enrich")
    row = one(services, "SELECT state, stage, queue, sent_at FROM signals")
    assert row == {"state": "enriched", "stage": "decide", "queue": "decide.standard", "sent_at": None}
    broker.empty("decide.standard")
    assert feed.offer(services, ["decide.standard"]) == 1
    assert len(sent(services, "signals", "stage = 'decide'")) == 1


def test_a_source_that_floods_delays_only_itself(
    services: Services, broker: BrokerControl, clock: MovableClock
) -> None:
    queue = QUEUES["enrich.high"]
    room = queue.depth * queue.chunk
    waiting(services, room + 50)
    clock.move(seconds=1)
    put(services, *(call(f"late{number}", f"e{number}", urgency="high") for number in range(3)))
    unsend(services)
    rows(services, "UPDATE signals SET source = 'quiet' WHERE due_at = :late", late=clock.now())
    broker.flush()
    feed.offer(services, [queue.name])
    first = messages(broker, queue.name)[0]["ids"]
    quiet = [str(row["signal_id"]) for row in rows(services, "SELECT signal_id FROM signals WHERE source = 'quiet'")]
    assert set(quiet) <= set(first)
    assert len(first) == queue.chunk
    # What the quiet source leaves of its share is the other's with the next offer.
    broker.flush()
    feed.offer(services, [queue.name])
    assert one(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NULL") == {"n": 0}


def test_who_works_a_backlog_keeps_its_queue_filled(
    services: Services, broker: BrokerControl, clock: MovableClock
) -> None:
    queue = QUEUES["enrich.immediate"]
    waiting(services, queue.depth * queue.chunk + 5, "immediate")
    broker.flush()
    feed.offer(services, [queue.name])
    assert one(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NULL") == {"n": 5}
    clock.move(seconds=1)
    run_stage(services, "enrich")
    assert one(services, "SELECT count(*) AS n FROM signals WHERE stage = 'enrich' AND sent_at IS NULL") == {"n": 0}


@pytest.mark.parametrize(("rows_due", "lots"), [(WAITING, [1] * WAITING), (13, [4, 4, 4, 1])])
def test_urgent_rows_leave_alone_while_threads_are_free_and_together_once_none_is(
    services: Services, broker: BrokerControl, rows_due: int, lots: list[int]
) -> None:
    queue = waiting(services, rows_due, "immediate")
    broker.flush()
    feed.offer(services, [queue])
    assert [len(one["ids"]) for one in messages(broker, queue)] == lots
    put(services, call("later", "d99", urgency="immediate"))
    feed.offer(services, [queue])
    # Behind as many messages as a worker has threads another would only wait, so it fills up.
    assert len(messages(broker, queue)) == WAITING


def test_who_finds_no_backlog_asks_for_none(services: Services, broker: BrokerControl) -> None:
    put(services, call("a"))
    put(services, call("b", "d2"))
    rows(services, "UPDATE signals SET sent_at = NULL WHERE deal_id = 'd2'")
    run_stage(services, "enrich")
    assert one(services, "SELECT sent_at FROM signals WHERE deal_id = 'd2'") == {"sent_at": None}


def test_behind_two_messages_only_full_ones_are_sent(services: Services, broker: BrokerControl) -> None:
    queue = QUEUES["enrich.standard"]
    waiting(services, queue.chunk - 1, "standard")
    broker.flush()
    broker.put(queue.name, 2)
    assert feed.offer(services, [queue.name]) == 0
    put(services, call("one more", "e1"))
    assert one(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NULL") == {"n": 0}
    assert broker.count(queue.name) == 3


def test_urgent_ones_do_not_wait_for_company(services: Services, broker: BrokerControl) -> None:
    queue = waiting(services, 1, "high")
    broker.flush()
    broker.put(queue, 2)
    assert feed.offer(services, [queue]) == 1
