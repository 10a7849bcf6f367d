"""Messages that no worker can run: each ends as one dead letter, and the workers go on."""

from collections.abc import Iterator

import pytest
from amqp.exceptions import NotFound
from celery import Celery

from config.settings import load
from tasks.app import make_app
from tests import rabbitmq_server
from tests.broker_control import BrokerControl, control
from tests.e2e.conftest import System
from tests.e2e.ledger_view import Row
from tests.e2e.odd_entries import QUEUE, Odd, odd_entries
from tests.e2e.processes import until
from tests.members import workers

ODD = list(odd_entries())


def _publisher(running: System) -> Celery:
    return make_app(load(running.ledger.urls))


def _workers(running: System) -> set[int]:
    return {one.pid for one in workers(running.pid)}


def _good_work_is_done(running: System) -> None:
    (deal,) = running.vendors.overdue_deals(1)
    running.door.hubspot(running.vendors.edit(deal, amount="9700"))
    assert running.ledger.all_ended([deal], 1)[0]["disposition"] == "acted"


@pytest.fixture(scope="module")
def broker(running: System) -> Iterator[BrokerControl]:
    opened = control(running.ledger.broker_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def survived(running: System, broker: BrokerControl) -> set[int]:
    """One message of each kind pushed to a queue that is being worked, and good work behind them; the workers' pids."""
    before = _workers(running)
    for odd in ODD:
        odd.push(broker)
    _good_work_is_done(running)
    return before


@pytest.mark.parametrize("odd", ODD, ids=lambda one: one.name)
def test_what_cannot_be_run_becomes_one_dead_letter(running: System, survived: set[int], odd: Odd) -> None:
    def letters() -> list[Row]:
        question = "SELECT * FROM dead_letters WHERE message = :body AND stage = 'message'"
        return running.ledger.rows(question, body=odd.body)

    (letter,) = until(letters, f"the dead letter of {odd.name}", 20)
    assert (letter["reason"], letter["queue"], letter["state"]) == (odd.reason, QUEUE, "open")
    assert (letter["times"], letter["attempts"]) == (1, 1)
    assert letter["error"]
    assert int(letter["worker"].rpartition(":")[2]) in survived
    assert letter["first_at"] <= letter["last_at"]


def test_the_workers_live_and_nothing_of_it_stays_in_the_broker(
    running: System, survived: set[int], broker: BrokerControl
) -> None:
    assert survived
    assert _workers(running) == survived
    until(lambda: not broker.held(broker.dead_queue(QUEUE)), "an empty dead queue", 20)
    until(lambda: not broker.held(QUEUE), "an empty queue with nothing unacknowledged", 20)


def test_a_letter_of_a_chunk_names_the_signals_that_it_held_up(running: System, broker: BrokerControl) -> None:
    (deal,) = running.vendors.overdue_deals(1)
    running.door.hubspot(running.vendors.edit(deal, amount="9710"))
    signal = str(running.ledger.all_ended([deal], 1)[0]["signal_id"])
    app = _publisher(running)
    try:
        sent = app.send_task("no.such.task", args=[{"v": 1, "send": 1, "ids": [signal]}], queue="decide.low").id
    finally:
        app.close()

    def letters() -> list[Row]:
        question = "SELECT * FROM dead_letters WHERE letter_key LIKE :key"
        return running.ledger.rows(question, key=f"message:{sent}:%")

    (letter,) = until(letters, "the dead letter", 20)
    assert (letter["reason"], letter["queue"]) == ("unknown_task", "decide.low")
    assert letter["detail"]["signal_ids"] == [signal]


def test_what_no_queue_is_bound_for_becomes_a_dead_letter_or_is_refused(running: System, broker: BrokerControl) -> None:
    """kombu's Redis transport takes it and puts it aside; RabbitMQ doesn't take it, and its publisher is told."""
    app = _publisher(running)
    try:
        with app.producer_pool.acquire(timeout=5) as producer:
            if rabbitmq_server.wanted():
                with pytest.raises(NotFound):
                    producer.publish({"lost": "nowhere"}, exchange="nowhere", routing_key="enrich.hihg", declare=[])
                return
            with pytest.warns(UserWarning, match="No queues bound"):
                producer.publish({"lost": "nowhere"}, exchange="nowhere", routing_key="enrich.hihg", declare=[])
    finally:
        app.close()

    def letters() -> list[Row]:
        return running.ledger.rows("SELECT * FROM dead_letters WHERE reason = 'undeliverable'")

    (letter,) = until(letters, "the dead letter", 20)
    assert (letter["queue"], bytes(letter["message"])) == ("enrich.hihg", b'{"lost": "nowhere"}')
    assert broker.count("undeliverable") == 0


def test_a_message_that_no_release_sends_becomes_a_dead_letter_and_the_worker_lives(running: System) -> None:
    app = _publisher(running)
    try:
        sent = [app.send_task("enrich", args=[message], queue="enrich.high").id for message in _ODD]
    finally:
        app.close()

    def buried() -> list[Row] | None:
        keys = [f"message:{one}" for one in sent]
        found = running.ledger.rows("SELECT * FROM dead_letters WHERE letter_key = ANY(:keys)", keys=keys)
        return found if len(found) == len(sent) else None

    letters = until(buried, "a dead letter for each odd message")
    assert {(one["stage"], one["queue"], one["reason"]) for one in letters} == {
        ("enrich", "enrich.high", "unreadable_message")
    }
    assert b'{"v": 0}' in {bytes(one["message"]) for one in letters}
    _good_work_is_done(running)


_ODD: list[object] = [{"v": 0}, "no object", {"v": 1, "send": 1, "ids": ["no id"]}]
