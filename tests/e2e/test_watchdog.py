"""A worker and the ways to its servers going bad: it recovers by itself, or ends itself, and loses nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis
from sqlalchemy import text
from sqlalchemy.engine import make_url

from config.settings import load
from revpipe.db import make_engine, transaction
from revpipe.drill.proxy import Proxy
from tasks.dead_queue import CAPACITY
from tasks.dispatch import connect
from tasks.watchdog import EXIT_CODE
from tests import rabbitmq_server
from tests.broker_control import RabbitControl, control
from tests.e2e import armed
from tests.e2e.deaf_link import DeafLink
from tests.e2e.ledger_view import LedgerView, Row
from tests.e2e.odd_entries import body, headers
from tests.e2e.preloaded import Forked
from tests.e2e.processes import Process, environment, until
from tests.prepared_ledger import PreparedLedger

QUEUE = "maintenance"
TASK = "maintenance.forget_expired_parts"


class Worker(Process):
    """A worker of one queue with one thread, which ends itself after `deaf_after` seconds of deafness."""

    def __init__(self, settings: dict[str, str], log: Path, deaf_after: float) -> None:
        self.log = log
        log.touch()
        self.popen = Forked(environment(settings), log, log, armed.worker, [QUEUE], deaf_after)

    @property
    def lives(self) -> bool:
        return self.popen.poll() is None


class Site:
    """A ledger and a broker, and the worker between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = LedgerView(folder)
        self.broker = control(self.ledger.broker_url)
        self.end = self.ledger.broker_end
        self._logs = 0

    def close(self) -> None:
        self.broker.close()
        self.ledger.close()

    def make_queues(self) -> None:
        """As the keeper does: on RabbitMQ there are none before somebody asks for room."""
        way = connect(load(self.ledger.urls))
        assert way.room(QUEUE)
        way.broker.close()
        way.app.close()

    @contextmanager
    def worker(self, deaf_after: float = 60.0, **settings: str) -> Iterator[Worker]:
        """A worker once it is ready."""
        self._logs += 1
        started = Worker({**self.ledger.urls, **settings}, self.folder / f"worker-{self._logs}.log", deaf_after)
        try:
            started.says("worker_ready")
            yield started
        finally:
            started.kill()

    def send(self, times: int = 1) -> None:
        """Messages that the worker can run."""
        self.broker.put(QUEUE, times, headers(task=TASK), body(args=[]))

    def all_done(self, seconds: float = 60.0) -> None:
        """Wait until no message is in the queue or in a worker's hands, and none a second later.

        A message is in neither place while a worker has taken it from Redis and has not noted so yet. The connection
        must not be stalled then: what can't be acknowledged counts as taken for the whole visibility time-out.
        """
        until(self._stays_empty, "an empty queue", seconds)

    def _stays_empty(self) -> bool:
        if self.broker.held(QUEUE):
            return False
        time.sleep(1)
        return not self.broker.held(QUEUE)

    def waiting(self, count: int) -> None:
        """Wait until so many messages are in the queue and in nobody's hands."""
        until(lambda: self.broker.count(QUEUE) == count, f"{count} messages in the queue")


@pytest.fixture(scope="module")
def site(folders: Path, empty_ledger: PreparedLedger) -> Iterator[Site]:
    made = Site(empty_ledger.plant(folders / "watchdog"))
    made.make_queues()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def empty(site: Site) -> None:
    site.broker.flush()


def test_a_deaf_worker_ends_itself_and_the_next_one_goes_on(site: Site) -> None:
    with DeafLink(site.end) as link:
        with site.worker(4, **site.ledger.over(link.port)) as worker:
            site.send()
            site.all_done()
            link.deafen()
            site.send(2)
            assert worker.ended(60) == EXIT_CODE
            assert "worker_deaf" in worker.log.read_text()
        site.waiting(2)
        link.heal()
        with site.worker(4, **site.ledger.over(link.port)):
            site.all_done()


def test_neither_a_busy_worker_nor_one_without_a_broker_ends_itself(site: Site) -> None:
    with Proxy(site.end) as proxy, site.worker(2, **site.ledger.over(proxy.port)) as worker:
        engine = make_engine(site.ledger.database_url)
        with transaction(engine) as tx:
            tx.execute(text("LOCK TABLE cached_parts IN ACCESS EXCLUSIVE MODE"))
            site.send(3)
            site.waiting(2)
            time.sleep(5)
            assert worker.lives
            assert site.broker.count(QUEUE) == 2
        engine.dispose()
        site.all_done()
        proxy.set("refuse")
        site.send(2)
        time.sleep(5)
        assert worker.lives
        proxy.set("pass")
        site.all_done()
        assert worker.lives
        assert "worker_deaf" not in worker.log.read_text()


@pytest.mark.timeout(180)
def test_a_worker_outlives_a_half_open_connection_and_a_restart_of_the_broker(site: Site) -> None:
    with Proxy(site.end) as proxy, site.worker(60, **site.ledger.over(proxy.port)) as worker:
        site.send()
        site.all_done()
        # What firewalls do: the old connections are dead, and neither end is told.
        proxy.set("stall-old")
        time.sleep(2)
        site.send(2)
        site.all_done(60)
        assert worker.lives
        _restart_broker(site)
        site.send(2)
        site.all_done(60)
        assert worker.lives


@pytest.mark.timeout(180)
def test_a_bad_message_that_nobody_takes_is_not_acknowledged(site: Site) -> None:
    """Its dead queue is full and the ledger away: it stays in its queue until one of them takes it."""
    carried = body()
    site.broker.put(site.broker.dead_queue(QUEUE), CAPACITY)
    address = make_url(site.ledger.database_url)
    with Proxy(Path(str(address.query["host"])) / f".s.PGSQL.{address.query['port']}") as proxy:
        away = address.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)
        with site.worker(DATABASE_URL=away) as worker:
            proxy.set("refuse")
            site.broker.put(QUEUE, headers=headers(task="nobody.knows"), body=carried)
            worker.says("message_not_parked")
            until(lambda: worker.log.read_text().count("message_not_parked") > 2, "further tries")
            assert worker.lives
            until(lambda: site.broker.held(QUEUE) == 1, "the message in its queue")
            proxy.set("pass")

            def letters() -> list[Row]:
                return site.ledger.rows("SELECT * FROM dead_letters WHERE message = :body", body=carried)

            (letter,) = until(letters, "the dead letter")
            assert (letter["reason"], letter["times"]) == ("unknown_task", 1)
            site.send()
            site.all_done()
            assert worker.lives


def _restart_broker(site: Site) -> None:
    """End the server as a maintenance window does, and have it again."""
    if rabbitmq_server.wanted():
        server = rabbitmq_server.the_shared()
        server.stop()
        server.start()
        RabbitControl(site.ledger.broker_url).settled()
        return
    (valkey,) = [one for one in psutil.process_iter() if _is_server(one, site.folder)]
    valkey.terminate()
    valkey.wait(30)
    # Its supervisor starts it again.
    until(lambda: _answers(site), "the broker after its restart")


def _answers(site: Site) -> bool:
    try:
        site.broker.count(QUEUE)
    except redis.RedisError:
        return False
    return True


def _is_server(one: psutil.Process, folder: Path) -> bool:
    try:
        return one.name() == "valkey-server" and str(folder) in " ".join(one.cmdline())
    except psutil.Error:
        return False
