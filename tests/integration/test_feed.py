"""Feeding the queues: no more than there is room for, in chunks of the queue's size, each row once."""

import json
from collections.abc import Callable

import pytest
import redis

from config.queues import QUEUES
from revpipe import feed
from revpipe.services import Services
from tests.integration.ledger_fixtures import MovableClock, at_once, call, one, put, rows, run_stage, sent


def waiting(services: Services, count: int, urgency: str = "high") -> str:
    """Signals in the ledger that nobody has sent; returns their queue."""
    put(services, *(call(f"c{number}", f"d{number}", urgency=urgency) for number in range(count)))
    unsend(services)
    return f"enrich.{urgency}"


def unsend(services: Services) -> None:
    rows(services, "UPDATE signals SET sent_at = NULL")


def messages(broker: redis.Redis, queue: str) -> list[dict[str, object]]:
    """The task arguments of a queue's messages, the oldest first."""
    import base64

    bodies = [json.loads(raw)["body"] for raw in broker.lrange(queue, 0, -1)]
    return [json.loads(base64.b64decode(body))[0][0] for body in reversed(bodies)]


def test_messages_hold_ids_and_numbers_in_the_order_of_their_falling_due(
    services: Services, broker: redis.Redis, clock: MovableClock
) -> None:
    first = put(services, call("a"))
    clock.move(seconds=1)
    put(services, call("b"))
    unsend(services)
    broker.flushdb()
    assert feed.offer(services, ["enrich.standard"]) == 2
    (message,) = messages(broker, "enrich.standard")
    stored = rows(services, "SELECT signal_id, send_no FROM signals ORDER BY due_at")
    assert message == {
        "v": 1,
        "send": stored[0]["send_no"],
        "ids": [str(row["signal_id"]) for row in stored],
    }
    assert str(first.correlation_id) not in str(broker.lindex("enrich.standard", 0))


def test_a_message_of_one_delivery_carries_its_correlation_id(services: Services, broker: redis.Redis) -> None:
    receipt = put(services, call("a"), call("b", "d2"))
    headers = json.loads(str(broker.lindex("enrich.standard", 0)))["headers"]
    assert headers["revpipe_cid"] == str(receipt.correlation_id)


@pytest.mark.parametrize("urgency", ["immediate", "high", "standard", "low"])
def test_the_queue_is_filled_to_its_depth_and_no_further(services: Services, broker: redis.Redis, urgency: str) -> None:
    queue = QUEUES[f"enrich.{urgency}"]
    extra = 3
    waiting(services, min(queue.depth * queue.chunk, 250) + extra, urgency)
    broker.flushdb()
    left = feed.offer(services, [queue.name])
    found = messages(broker, queue.name)
    sizes = [len(message["ids"]) for message in found]  # type: ignore[arg-type]
    assert sum(sizes) == left
    assert max(sizes) <= queue.chunk
    assert len(found) <= queue.depth
    if queue.depth * queue.chunk <= 250:
        assert sizes == [queue.chunk] * queue.depth
        assert one(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NULL") == {"n": extra}
        assert feed.offer(services, [queue.name]) == 0


def test_concurrent_feeders_send_no_row_twice(services: Services, broker: redis.Redis) -> None:
    queue = waiting(services, 100)
    broker.flushdb()
    left = at_once(6, lambda _: feed.offer(services, [queue]))
    ids = [row_id for message in messages(broker, queue) for row_id in message["ids"]]  # type: ignore[attr-defined]
    assert sum(left) == 100
    assert len(ids) == len(set(ids)) == 100


def test_what_is_not_due_yet_stays(services: Services, clock: MovableClock, broker: redis.Redis) -> None:
    queue = waiting(services, 2)
    rows(services, "UPDATE signals SET due_at = :due", due=clock.now().replace(year=clock.now().year + 1))
    assert feed.offer(services, [queue]) == 0
    clock.move(days=366)
    assert feed.offer(services, [queue]) == 2


def test_a_queue_named_twice_is_fed_once(services: Services, broker: redis.Redis) -> None:
    queue = waiting(services, 5)
    assert feed.offer(services, [queue, queue]) == 5


@pytest.fixture
def refusing(pair: object, broker: redis.Redis) -> Callable[[bool], None]:
    """Lets the broker refuse writes as a full one does, and stop doing so."""

    def set_full(full: bool) -> None:
        broker.config_set("maxmemory", "1" if full else "0")

    return set_full


def test_a_broker_that_takes_nothing_is_no_error_and_nothing_is_lost(
    services: Services, broker: redis.Redis, refusing: Callable[[bool], None]
) -> None:
    refusing(True)
    try:
        receipt = put(services, call("a"))
        assert receipt.accepted == 1
        assert broker.llen("enrich.standard") == 0
    finally:
        refusing(False)
    assert one(services, "SELECT stage, state, claim_id FROM signals") == {
        "stage": "enrich",
        "state": "received",
        "claim_id": None,
    }


def test_a_full_next_queue_takes_rows_out_of_the_chain_but_not_out_of_sight(
    services: Services, broker: redis.Redis
) -> None:
    put(services, call("a"))
    broker.rpush("decide.standard", *["x"] * QUEUES["decide.standard"].depth)
    run_stage(services, "enrich")
    row = one(services, "SELECT state, stage, queue, sent_at FROM signals")
    assert row == {"state": "enriched", "stage": "decide", "queue": "decide.standard", "sent_at": None}
    broker.delete("decide.standard")
    assert feed.offer(services, ["decide.standard"]) == 1
    assert len(sent(services, "signals", "stage = 'decide'")) == 1
