"""Work that can wait begins no more than a chunk at a time while urgent work waits, and never stands still."""

import time
from threading import Thread

import pytest

from config.queues import QUEUES
from revpipe.errors import Transient
from tasks.giving_way import LOOKED_AT, GivingWay, can_wait

SPACING = 0.2


class Broker:
    """Holds so many messages in every queue, and remembers which it was asked about."""

    def __init__(self, held: int, *, error: bool = False) -> None:
        self.held, self.error = held, error
        self.asked: set[str] = set()

    def waiting(self, queue: str) -> int:
        self.asked.add(queue)
        if self.error:
            raise Transient("the broker can't be asked")
        return self.held


def seconds_of(way: GivingWay, chunks: int, queue: str = "enrich.low") -> float:
    began = time.monotonic()
    for _ in range(chunks):
        way.let_pass(queue)
    return time.monotonic() - began


def test_while_urgent_work_waits_chunks_begin_spaced_out() -> None:
    assert seconds_of(GivingWay(Broker(3).waiting, spacing=SPACING), 3) >= 2 * SPACING


def test_threads_of_a_process_share_its_pace() -> None:
    way = GivingWay(Broker(1).waiting, spacing=SPACING)
    threads = [Thread(target=way.let_pass, args=("decide.standard",)) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 3 * SPACING


@pytest.mark.parametrize("broker", [Broker(0), Broker(5, error=True)])
def test_nothing_waits_where_nothing_urgent_does_or_nobody_can_tell(broker: Broker) -> None:
    assert seconds_of(GivingWay(broker.waiting, spacing=60), 5) < 30
    assert broker.asked


def test_the_pause_ends_with_what_it_was_for() -> None:
    broker = Broker(1)
    way = GivingWay(broker.waiting, spacing=60)
    way.let_pass("enrich.low")
    waiter = Thread(target=way.let_pass, args=("enrich.low",))
    waiter.start()
    waiter.join(SPACING)
    assert waiter.is_alive()
    broker.held = 0
    waiter.join(30)
    assert not waiter.is_alive()


def test_urgent_work_and_what_is_in_quarantine_ask_nobody() -> None:
    broker = Broker(1)
    for queue in ("enrich.immediate", "decide.high", "enrich.quarantine", "nowhere"):
        assert seconds_of(GivingWay(broker.waiting, spacing=60), 3, queue) < 30
    assert not broker.asked


def test_what_is_looked_at_is_urgent_and_needs_no_vendors_rate() -> None:
    assert not any(can_wait(queue) for queue in LOOKED_AT)
    assert {QUEUES[queue].task for queue in LOOKED_AT} == {"enrich", "decide", "execute"}
