"""RabbitMQ as the broker: what the dispatcher may rely on. Part of `make test-rabbitmq`, not of `make test`."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import amqp
import pytest
from celery.worker.consumer import Consumer

from config.queues import QUEUES
from config.settings import Settings
from revpipe import sweep
from revpipe.errors import Transient
from revpipe.work import Chunk
from tasks import dispatch
from tasks.brokers.amqp import EPOCH_QUEUE, HELD, AmqpBroker
from tasks.brokers.amqp_dead import DEAD_QUEUE
from tasks.brokers.fair_consumer import DELAYS, FairConsumer, ahead
from tests import rabbitmq_server
from tests.broker_control import RabbitControl
from tests.integration.conftest import MakeServices
from tests.integration.ledger_fixtures import MovableClock, call, put, rows
from tests.rabbitmq_server import RabbitServer

QUEUE = "enrich.standard"
BOUND = 6.0
"""Seconds: two to connect, two for an answer, and as much again for a busy machine. Without bounds it is for ever."""


@pytest.fixture(scope="module")
def alone() -> Iterator[RabbitServer]:
    """A RabbitMQ of their own: they kill, freeze and empty it."""
    with rabbitmq_server.alone() as server:
        yield server


@pytest.fixture
def way(alone: RabbitServer) -> Iterator[dispatch.CeleryDispatcher]:
    """The way of the web process and the keeper to an emptied RabbitMQ."""
    RabbitControl(alone.url).settled()
    RabbitControl(alone.url).flush()
    made = dispatch.connect(Settings(redis_url="redis://127.0.0.1:1/0", broker_url=alone.url))
    made.room(QUEUE)  # Whoever feeds asks for room first, and the queues are made at that.
    yield made
    made.broker.close()
    made.app.close()


@pytest.fixture
def held(alone: RabbitServer) -> RabbitControl:
    return RabbitControl(alone.url)


@pytest.fixture
def worker(alone: RabbitServer) -> Iterator[Any]:
    """A connection that takes messages as a worker does, and acknowledges none."""
    with amqp.Connection(host=f"127.0.0.1:{alone.port}") as connection:
        channel = connection.channel()
        channel.basic_qos(0, 1, False)
        yield channel


def send(way: dispatch.CeleryDispatcher, count: int = 1, queue: str = QUEUE) -> None:
    for number in range(count):
        way.send("enrich", queue, Chunk((uuid.uuid4(),), number).to_message(), "c", datetime.now(UTC))


def looks(way: dispatch.CeleryDispatcher, every: float) -> AmqpBroker:
    assert isinstance(way.broker, AmqpBroker)
    way.broker.look_every = every
    return way.broker


def bounded(question: Any) -> Any:
    """The answer, or Transient, if it comes in time."""
    began = time.monotonic()
    try:
        return question()
    except Transient as error:
        return error
    finally:
        assert time.monotonic() < began + BOUND


def mark_of(way: dispatch.CeleryDispatcher) -> str | None:
    """The mark, once the broker can be asked again: until then a restart must not look like a flush."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return way.epoch()
        except Transient:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_room_is_the_depth_less_what_waits(way: dispatch.CeleryDispatcher) -> None:
    depth = QUEUES[QUEUE].depth
    assert way.room(QUEUE) == depth
    send(way, depth - 1)
    assert way.room(QUEUE) == 1
    send(way, 3)
    assert way.room(QUEUE) == 0


def test_looking_at_the_head_leaves_it_the_head_and_loses_nothing(
    way: dispatch.CeleryDispatcher, held: RabbitControl
) -> None:
    looks(way, 0.0)
    send(way, 5)
    first = way.oldest(QUEUE)
    assert {way.oldest(QUEUE) for _ in range(30)} == {first}
    times = [datetime.fromtimestamp(one.headers["revpipe_sent"], UTC) for one in held.messages(QUEUE)]
    assert times == sorted(times)
    assert (len(times), times[0]) == (5, first)


def test_what_workers_gave_back_in_any_order_is_not_taken_for_passed(
    way: dispatch.CeleryDispatcher, worker: Any
) -> None:
    looks(way, 0.0)
    send(way, 6)
    taken = [worker.basic_get(QUEUE) for _ in range(4)]
    first = datetime.fromtimestamp(taken[0].headers["revpipe_sent"], UTC)
    for number in (2, 0, 3, 1):
        worker.basic_reject(taken[number].delivery_tag, requeue=True)
    deadline = time.monotonic() + 10
    while worker.queue_declare(QUEUE, passive=True).consumer_count and time.monotonic() < deadline:
        time.sleep(0.01)  # Until they are back a worker counts as holding them.
    for _ in range(12):
        assert way.oldest(QUEUE) == first


def test_an_empty_queue_has_moved_past_all_unless_a_worker_may_hold_something(
    way: dispatch.CeleryDispatcher, worker: Any
) -> None:
    assert way.oldest(QUEUE) is None
    send(way, 1)
    worker.basic_consume(QUEUE, callback=lambda _: None)
    worker.connection.drain_events(timeout=10)
    oldest = way.oldest(QUEUE)
    assert oldest is not None
    assert timedelta() <= datetime.now(UTC) - HELD - oldest < timedelta(seconds=30)


def test_a_look_serves_for_a_while_but_an_empty_queue_is_noticed_at_once(
    way: dispatch.CeleryDispatcher, held: RabbitControl
) -> None:
    looks(way, 3600.0)
    send(way, 2)
    first = way.oldest(QUEUE)
    deliveries = [one.headers.get("x-delivery-count", 0) for one in held.messages(QUEUE)]
    assert way.oldest(QUEUE) == first
    assert [one.headers.get("x-delivery-count", 0) for one in held.messages(QUEUE)] == [one + 1 for one in deliveries]
    held.empty(QUEUE)
    assert way.oldest(QUEUE) is None
    send(way, 1)
    later = way.oldest(QUEUE)
    assert first is not None
    assert later is not None
    assert later > first


def test_with_no_worker_for_ten_minutes_and_thousands_due_nothing_is_sent_again(
    way: dispatch.CeleryDispatcher, make_services: MakeServices, clock: MovableClock, held: RabbitControl
) -> None:
    looks(way, 0.0)
    services = replace(make_services(), dispatcher=way)
    put(services, *(call(f"c{number}", f"d{number}") for number in range(500)))
    rows(
        services,
        "INSERT INTO signals SELECT (jsonb_populate_record(s, jsonb_build_object('signal_id', gen_random_uuid(),"
        " 'sent_at', NULL))).* FROM signals s, generate_series(1, 9) WHERE s.stage = 'enrich'",
    )
    head = way.oldest(QUEUE)  # The messages have the real time, the rows the test's.
    rows(services, "UPDATE signals SET sent_at = :head WHERE sent_at IS NOT NULL", head=head)
    waiting = held.count(QUEUE)
    assert waiting > 0
    for _ in range(10):
        clock.move(seconds=60)
        assert sweep.sweep(services).get("message_lost", 0) == 0
    assert held.count(QUEUE) == waiting
    held.empty(QUEUE)
    assert sweep.sweep(services).get("message_lost", 0) > 0


def test_the_mark_of_its_life_outlives_connections_and_goes_with_a_purge(
    way: dispatch.CeleryDispatcher, held: RabbitControl
) -> None:
    assert way.epoch() is None
    mark = way.begin_epoch()
    assert way.epoch() == mark
    way.broker.close()
    assert way.epoch() == mark
    held.empty(QUEUE)
    assert way.epoch() == mark
    held.empty(EPOCH_QUEUE)
    assert way.epoch() is None
    assert way.begin_epoch() != mark


def test_the_mark_is_not_gone_because_somebody_else_reads_it(
    way: dispatch.CeleryDispatcher, alone: RabbitServer, worker: Any
) -> None:
    mark = way.begin_epoch()
    message = worker.basic_get(EPOCH_QUEUE)
    worker.basic_reject(message.delivery_tag, requeue=True)
    assert way.epoch() == mark


def test_what_a_worker_refuses_is_taken_from_the_queue_of_the_dead_and_forgotten_once_told(
    way: dispatch.CeleryDispatcher, held: RabbitControl, worker: Any
) -> None:
    send(way, 1)
    message = worker.basic_get(QUEUE)
    worker.basic_reject(message.delivery_tag, requeue=False)
    deadline = time.monotonic() + 10
    while not held.count(DEAD_QUEUE) and time.monotonic() < deadline:
        time.sleep(0.02)
    (dead,) = way.take_dead(10)
    assert (dead.queue, dead.reason) == (QUEUE, "dead_lettered")
    assert "rejected" in dead.error
    assert dead.headers["task"] == "enrich"
    assert dead.body == (message.body.encode() if isinstance(message.body, str) else message.body)
    (again,) = way.take_dead(10)
    assert again.key == dead.key
    way.forget_dead([again])
    assert way.take_dead(10) == []
    way.broker.close()
    assert way.take_dead(10) == []


def test_a_strangers_message_and_one_put_aside_by_us_come_out_alike(
    way: dispatch.CeleryDispatcher, held: RabbitControl
) -> None:
    send(way, 1)
    held.put(DEAD_QUEUE, headers={"id": "x"}, body=b"\xff\xfe")
    (stranger,) = way.take_dead(10)
    way.forget_dead([stranger])
    assert stranger.body == b"\xff\xfe"
    way.broker.put_dead(stranger)
    (ours,) = way.take_dead(10)
    assert (ours.key, ours.reason, ours.body) == (stranger.key, stranger.reason, stranger.body)
    way.forget_dead([ours])


def test_an_unknown_queue_is_made_again_after_the_node_lost_everything(alone: RabbitServer) -> None:
    """A restart keeps messages and the mark; a reset is noticed, and the queues are there again by asking."""
    way = dispatch.connect(Settings(redis_url="redis://127.0.0.1:1/0", broker_url=alone.url))
    mark = way.begin_epoch() if way.epoch() is None else way.epoch()
    held = RabbitControl(alone.url)
    held.empty(QUEUE)
    send(way, 2)
    alone.kill()
    assert isinstance(bounded(way.epoch), Transient)
    assert bounded(lambda: way.room(QUEUE)) == 0
    assert isinstance(bounded(lambda: send(way)), Transient)
    alone.start()
    assert mark_of(way) == mark
    held.settled()
    assert held.count(QUEUE) == 2
    send(way)  # Its connection died while nobody used it: the message goes out all the same.
    assert held.count(QUEUE) == 3
    alone.kill()
    alone.forget()
    alone.start()
    assert way.epoch() is None
    assert way.room(QUEUE) == QUEUES[QUEUE].depth
    send(way)
    assert held.count(QUEUE) == 1
    way.broker.close()
    way.app.close()


def test_a_frozen_server_blocks_nobody_and_a_late_word_is_not_taken_for_anothers(
    way: dispatch.CeleryDispatcher, alone: RabbitServer, held: RabbitControl
) -> None:
    send(way, 1)
    assert way.room(QUEUE) > 0
    with alone.frozen():
        assert isinstance(bounded(lambda: send(way)), Transient)
        assert bounded(lambda: way.room(QUEUE)) == 0
        assert isinstance(bounded(way.epoch), Transient)
    deadline = time.monotonic() + 30
    while way.room(QUEUE) == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    before = held.count(QUEUE)
    send(way, 1)
    assert held.count(QUEUE) == before + 1


def test_a_queue_with_other_arguments_is_named(alone: RabbitServer) -> None:
    """Somebody declared it by hand, or an older release did: RabbitMQ does not change a queue that is there."""
    way = dispatch.connect(Settings(redis_url="redis://127.0.0.1:1/0", broker_url=alone.url))
    way.room(QUEUE)
    with amqp.Connection(host=f"127.0.0.1:{alone.port}") as connection:
        channel = connection.channel()
        for name in (QUEUE, EPOCH_QUEUE):
            channel.queue_delete(name)
        channel.queue_declare(QUEUE, durable=True, auto_delete=False)
    try:
        with pytest.raises(Transient, match=r"enrich\.standard"):
            way.epoch()
    finally:
        with amqp.Connection(host=f"127.0.0.1:{alone.port}") as connection:
            connection.channel().queue_delete(QUEUE)
        assert way.epoch() is None
        way.broker.close()
        way.app.close()


@pytest.mark.parametrize(("threads", "queues", "each"), [(4, 1, 4), (4, 3, 2), (4, 24, 1), (1, 1, 1)])
def test_a_worker_takes_about_as_many_messages_ahead_as_it_has_threads(threads: int, queues: int, each: int) -> None:
    assert ahead(threads, queues) == each


def test_a_worker_makes_no_queues_for_delays() -> None:
    assert set(Consumer.Blueprint.default_steps) - set(FairConsumer.Blueprint.default_steps) == {DELAYS}
