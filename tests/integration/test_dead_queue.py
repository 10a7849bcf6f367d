"""The dead queues of a real broker, and their way into the ledger: bounded, at least once, one letter each."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from kombu.message import Message

from config.settings import Settings
from revpipe import undeliverable
from revpipe.db import make_engine
from revpipe.embedded.client import Lease
from revpipe.keeper import Keeper
from revpipe.ports import DeadMessage
from revpipe.services import Services
from tasks import dead_queue
from tasks.brokers.redis import RedisBroker, client
from tasks.dead_queue import BIGGEST, CAPACITY, NoRoom, key_of
from tasks.dispatch import CeleryDispatcher
from tasks.faults import Fault
from tasks.parking import NotParked, Parking
from tests.integration.ledger_fixtures import MovableClock, call, one, put, rows, signal_id

QUEUE = "enrich.high"


def dead(body: bytes = b"[]", **changes: Any) -> DeadMessage:
    headers = changes.pop("headers", {"id": "m-1"})
    made = {
        "key": key_of(headers, body),
        "queue": QUEUE,
        "reason": "bad_body",
        "error": "it is empty",
        "parked_at": datetime(2026, 11, 23, 4, 0, tzinfo=UTC),
        "worker": "host:1",
    }
    return DeadMessage(body=body, headers=headers, **{**made, **changes})


def letters(services: Services) -> list[dict[str, Any]]:
    return rows(services, "SELECT * FROM dead_letters ORDER BY message")


@pytest.fixture
def broker(pair: Lease) -> Iterator[redis.Redis]:
    """The Redis, empty, for looking into: whichever broker the other tests are run on."""
    with redis.Redis.from_url(pair.redis_url, decode_responses=True) as client:
        client.flushall()
        yield client


@pytest.fixture
def held(pair: Lease, broker: redis.Redis) -> Iterator[RedisBroker]:
    """The broker as a process of ours sees it."""
    made = RedisBroker(client(Settings(redis_url=pair.redis_url)))
    yield made
    made.close()


@pytest.fixture
def services(services: Services, dispatcher: CeleryDispatcher, held: RedisBroker) -> Services:
    """Services on that broker."""
    return replace(services, dispatcher=CeleryDispatcher(dispatcher.app, held))


@pytest.fixture
def nobody() -> Iterator[RedisBroker]:
    """A broker that is not there."""
    made = RedisBroker(client(Settings(redis_url="redis://127.0.0.1:1/0")))
    yield made
    made.close()


def test_what_is_put_comes_out_whole_and_the_oldest_first(held: RedisBroker, broker: redis.Redis) -> None:
    first = dead(b"\x00\xff first", traceback="Traceback …", properties={"content_type": "a/b"}, attempts=3)
    held.put_dead(first)
    held.put_dead(dead(b"second"))
    held.put_dead(dead(b"elsewhere", queue="decide.low"))
    taken = held.take_dead(10)
    assert {one.body for one in taken} == {b"\x00\xff first", b"second", b"elsewhere"}
    mine = [one for one in taken if one.queue == QUEUE]
    assert [one.body for one in mine] == [b"\x00\xff first", b"second"]
    got = mine[0]
    for name in DeadMessage.__slots__:
        assert name == "receipt" or getattr(got, name) == getattr(first, name)
    assert broker.llen(f"dead.{QUEUE}") == 2
    assert [one.body for one in held.take_dead(1)] == [taken[0].body]


def test_only_what_was_taken_is_forgotten(held: RedisBroker, broker: redis.Redis) -> None:
    held.put_dead(dead(b"taken"))
    taken = held.take_dead(10)
    held.put_dead(dead(b"later"))
    held.forget_dead(taken)
    held.forget_dead(taken)
    assert [one.body for one in held.take_dead(10)] == [b"later"]


def test_a_queue_that_nobody_knows_does_not_make_lists_of_its_own(held: RedisBroker, broker: redis.Redis) -> None:
    held.put_dead(dead(queue="of a stranger"))
    assert broker.keys("*") == ["dead.undeliverable"]
    assert held.take_dead(1)[0].queue == "of a stranger"


@pytest.mark.parametrize("entry", [b"\x80 garbage", b"[1]", b'{"key": 1}', b"null", b"[" * 5000])
@pytest.mark.parametrize("name", [f"dead.{QUEUE}", "undeliverable"])
def test_what_a_stranger_pushed_into_a_dead_queue_comes_out_too(
    services: Services, broker: redis.Redis, name: str, entry: bytes
) -> None:
    broker.lpush(name, entry)
    assert undeliverable.collect(services) == 1
    (letter,) = letters(services)
    assert (letter["reason"], letter["queue"], bytes(letter["message"])) == ("not_json", name, entry)
    assert not broker.exists(name)


def test_a_keepers_round_brings_them_into_the_ledger(
    services: Services, held: RedisBroker, clock: MovableClock
) -> None:
    correlation = uuid.uuid4()
    body = json.dumps([[{"v": 1, "send": 7, "ids": [str(signal_id("a")), str(uuid.uuid4())]}], {}, {}]).encode()
    put(services, call("a"))
    headers = {"id": "m-9", "task": "gone", "revpipe_cid": str(correlation)}
    held.put_dead(dead(body, headers=headers, reason="unknown_task", traceback="Traceback: x"))
    assert Keeper(services).round()
    (letter,) = letters(services)
    assert (letter["stage"], letter["reason"], letter["queue"]) == ("message", "unknown_task", QUEUE)
    assert (letter["error"], letter["traceback"], letter["worker"]) == ("it is empty", "Traceback: x", "host:1")
    assert (letter["correlation_id"], letter["attempts"], letter["times"]) == (correlation, 1, 1)
    assert bytes(letter["message"]) == body
    assert letter["first_at"] == datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    assert letter["last_at"] == clock.now()
    assert letter["detail"]["signal_ids"] == [str(signal_id("a"))]
    assert "sweep" in letter["detail"]["note"]
    assert json.loads(letter["detail"]["headers"]) == headers
    assert held.take_dead(10) == []


def test_a_message_that_comes_again_is_the_same_letter(services: Services, held: RedisBroker) -> None:
    held.put_dead(dead())
    # As after a crash between the commit and the forgetting, and as when the broker delivers again.
    for headers in ({"id": "m-1"}, {"id": "m-1", "redelivered": True}, {"id": "m-1", "x-delivery-count": 1}):
        held.put_dead(dead(headers=headers))
    assert undeliverable.collect(services) == 4
    assert one(services, "SELECT times FROM dead_letters") == {"times": 4}
    held.put_dead(dead(headers={"id": "m-1", "task": "other"}))
    undeliverable.collect(services)
    assert len(letters(services)) == 2


def test_a_broker_that_is_away_is_asked_next_time(
    services: Services, dispatcher: CeleryDispatcher, nobody: RedisBroker
) -> None:
    assert undeliverable.collect(replace(services, dispatcher=CeleryDispatcher(dispatcher.app, nobody))) == 0


def test_no_text_of_a_message_keeps_its_letter_from_being_written(services: Services, held: RedisBroker) -> None:
    nasty = "\0 \ud83d " + "x" * 5_000
    headers = {"id": nasty, "task": nasty, "deep": [nasty], "revpipe_cid": nasty}
    held.put_dead(dead(queue=nasty, reason=nasty[:9], error=nasty, worker=nasty, headers=headers))
    held.put_dead(dead(b"behind it"))
    assert undeliverable.collect(services) == 2
    assert {bytes(letter["message"]) for letter in letters(services)} == {b"[]", b"behind it"}


def test_one_that_the_ledger_refuses_keeps_no_other_out(services: Services, held: RedisBroker) -> None:
    rows(
        services,
        "ALTER TABLE dead_letters ADD CONSTRAINT no_tomatoes CHECK (message <> 'tomato'::bytea) NOT VALID",
    )
    try:
        held.put_dead(dead(b"tomato"))
        held.put_dead(dead(b"bread"))
        assert undeliverable.collect(services) == 1
        assert [bytes(letter["message"]) for letter in letters(services)] == [b"bread"]
        assert [one.body for one in held.take_dead(10)] == [b"tomato"]
    finally:
        rows(services, "ALTER TABLE dead_letters DROP CONSTRAINT no_tomatoes")


def test_a_flood_does_not_fill_the_broker_and_is_not_lost(services: Services, held: RedisBroker) -> None:
    parking = Parking(held.put_dead, services.engine)
    with held.client.pipeline() as pipe:
        for number in range(CAPACITY):
            pipe.lpush(f"dead.{QUEUE}", dead_queue.encode(dead(str(number).encode())))
        pipe.execute()
    with pytest.raises(NoRoom):
        held.put_dead(dead(b"one too many"))
    parking.entry(QUEUE, b"one too many", Fault("not_json", "no JSON"))
    assert held.client.llen(f"dead.{QUEUE}") == CAPACITY
    assert [bytes(letter["message"]) for letter in letters(services)] == [b"one too many"]
    while undeliverable.collect(services):
        pass
    assert len(letters(services)) == CAPACITY + 1


def test_a_big_one_goes_straight_to_the_ledger(services: Services, held: RedisBroker) -> None:
    body = b"x" * BIGGEST
    Parking(held.put_dead, services.engine).entry(QUEUE, body, Fault("not_json", "no JSON"))
    assert held.take_dead(10) == []
    (letter,) = letters(services)
    assert bytes(letter["message"]) == body


def test_with_the_broker_away_it_goes_to_the_ledger(services: Services, nobody: RedisBroker) -> None:
    Parking(nobody.put_dead, services.engine).entry(QUEUE, b"body", Fault("not_json", "no"))
    assert [bytes(letter["message"]) for letter in letters(services)] == [b"body"]


def test_with_both_away_a_message_is_refused_and_a_raw_entry_is_held(services: Services, nobody: RedisBroker) -> None:
    parking = Parking(nobody.put_dead, make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_size=1))
    fault = Fault("not_json", "no JSON")
    with pytest.raises(NotParked):
        parking.message(Message(b"body", delivery_tag="t", headers={"id": "m"}), fault)
    for number in range(3):
        parking.entry(QUEUE, b"raw %d" % number, fault)
    parking.again()
    assert letters(services) == []
    parking._engine = services.engine
    parking.again()
    parking.again()
    assert [bytes(letter["message"]) for letter in letters(services)] == [b"raw 0", b"raw 1", b"raw 2"]
    assert {letter["times"] for letter in letters(services)} == {1}
