"""One pair of embedded servers for the tests of the ledger, and for each test a database and an empty broker."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from psycopg import sql
from sqlalchemy.engine import make_url

from config.settings import Settings
from revpipe import bootstrap, context_needs, migrate
from revpipe.action_policy import ActionPolicy
from revpipe.db import Base, make_engine
from revpipe.embedded.client import Lease, servers, wait_stopped
from revpipe.ports import ActionAdapter, Provider
from revpipe.rules import book as rule_file
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from tasks import dispatch
from tasks.brokers.amqp import AmqpBroker
from tests import rabbitmq_server
from tests.broker_control import BrokerControl, control
from tests.integration.ledger_fixtures import FakeAdapter, FakeProvider, MovableClock
from tests.integration.ledger_rules import BOOK, TYPES
from tests.integration.shared_ledger import SharedLedger

# They start and restart RabbitMQ, which takes a minute; `make test` is without them.
collect_ignore = [] if rabbitmq_server.wanted() else ["test_brokers.py"]
TEMPLATE = "template_ledger"
ALL_TABLES = tuple(table.name for table in reversed(Base.metadata.sorted_tables))
_numbers = itertools.count(1)

MakeServices = Callable[..., Services]


@pytest.fixture(scope="session")
def pair() -> Iterator[Lease]:
    """PostgreSQL and Valkey in a folder of their own, not below pytest's, which shuts its folders to others."""
    folder = Path(tempfile.mkdtemp(prefix="rv-"))
    with servers(folder / "data") as lease:
        # What a crash of the machine would lose is nothing to a test; the suite halves its time by it.
        execute_sql(lease.database_url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield lease
    assert wait_stopped(folder / "data")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(pair: Lease) -> str:
    """The name of a database that is migrated and otherwise empty."""
    execute_sql(pair.database_url, f"CREATE DATABASE {TEMPLATE}")
    engine = make_engine(url_of(pair, TEMPLATE))
    migrate.upgrade(engine)
    engine.dispose()
    return TEMPLATE


@pytest.fixture
def empty_url(pair: Lease) -> Iterator[str]:
    """A database without a single table."""
    yield from _database(pair, "template1")


@pytest.fixture
def database_url(pair: Lease, template: str) -> Iterator[str]:
    """A migrated database that only this test uses: for tests that change tables, since it takes half a second."""
    yield from _database(pair, template)


@pytest.fixture(scope="session")
def shared_ledger(pair: Lease, template: str) -> Iterator[SharedLedger]:
    """A migrated database that tests share one after the other."""
    for url in _database(pair, template):
        shared = SharedLedger(url)
        yield shared
        shared.disconnect()


@pytest.fixture(scope="session")
def ledger(shared_ledger: SharedLedger) -> str:
    """Where it is."""
    return shared_ledger.url


@pytest.fixture
def ledger_url(shared_ledger: SharedLedger) -> str:
    """The shared database with nothing in it."""
    shared_ledger.empty()
    return shared_ledger.url


@pytest.fixture(scope="session")
def book() -> RuleBook:
    """A book of a few rules."""
    return rule_file.load(BOOK, TYPES)


@pytest.fixture(scope="session")
def shipped() -> RuleBook:
    """The rules that we ship."""
    return bootstrap.load_rules(Settings())


@pytest.fixture(scope="session")
def checks() -> dict[str, Callable[[Mapping[str, Any]], None]]:
    """What the real adapters take."""
    return bootstrap.load_checks(Settings())


@pytest.fixture(scope="session")
def policy() -> dict[str, ActionPolicy]:
    """The policy that we ship."""
    return bootstrap.load_policy()


@pytest.fixture(scope="session")
def rabbit() -> Iterator[rabbitmq_server.RabbitServer]:
    """A RabbitMQ that tests share one after the other, the end-to-end tests of this process among them."""
    with rabbitmq_server.shared() as server:
        yield server


@pytest.fixture(scope="session")
def broker_url(pair: Lease, request: pytest.FixtureRequest) -> str:
    """Where messages travel, as BROKER_URL takes it."""
    if rabbitmq_server.wanted():
        return str(request.getfixturevalue("rabbit").url_of(rabbitmq_server.LEDGER))
    return pair.broker_url


@pytest.fixture(scope="session")
def dispatcher(pair: Lease, broker_url: str) -> Iterator[dispatch.CeleryDispatcher]:
    """The real way to the queues; its own waits are short, so that a broken broker is soon noticed."""
    made = dispatch.connect(Settings(redis_url=pair.redis_url, broker_url=broker_url))
    made.gathers = False  # What a test sends leaves at once, however little and however soon after the last.
    if isinstance(made.broker, AmqpBroker):
        made.broker.look_every = 0.0  # Tests change a queue behind its back, and at once want to see it noticed.
    yield made
    made.broker.close()
    made.app.close()


@pytest.fixture(scope="session")
def valkey(pair: Lease) -> Iterator[redis.Redis]:
    """A connection to the Redis of circuits and rates, which may be the broker, too."""
    with redis.Redis.from_url(pair.redis_url) as client:
        yield client


@pytest.fixture
def broker(pair: Lease, valkey: redis.Redis, broker_url: str) -> Iterator[BrokerControl]:
    """The broker, empty, for looking into. The Redis of circuits and rates is emptied with it."""
    valkey.flushall()
    opened = control(broker_url)
    if broker_url != pair.broker_url:
        opened.flush()
    yield opened
    opened.close()


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def provider(clock: MovableClock) -> FakeProvider:
    return FakeProvider(clock)


@pytest.fixture
def hubspot() -> FakeAdapter:
    return FakeAdapter("hubspot", ("create_task", "update_crm"), batch=10)


@pytest.fixture
def make_services(
    pair: Lease,
    ledger_url: str,
    shared_ledger: SharedLedger,
    broker_url: str,
    broker: BrokerControl,
    dispatcher: dispatch.CeleryDispatcher,
    clock: MovableClock,
    provider: FakeProvider,
    hubspot: FakeAdapter,
    book: RuleBook,
    policy: Mapping[str, ActionPolicy],
    checks: Mapping[str, Callable[[Mapping[str, Any]], None]],
) -> Iterator[MakeServices]:
    """Makes Services over the real ledger and broker, with fakes on the far side of the vendors' ports."""
    made: list[Services] = []

    def make(
        rules: RuleBook = book,
        providers: Sequence[Provider] = (provider,),
        adapters: Sequence[ActionAdapter] = (),
        needs: str | None = None,
        policies: Mapping[str, ActionPolicy] = policy,
    ) -> Services:
        others = (FakeAdapter("slack", ("send_alert",)), FakeAdapter("drafts", ("draft_followup",)))
        services = Services(
            settings=Settings(database_url=ledger_url, redis_url=pair.redis_url, broker_url=broker_url),
            engine=shared_ledger.lend(),
            dispatcher=dispatcher,
            clock=clock,
            rules=rules,
            policy=policies,
            checks=checks,
            needs=context_needs.load(needs) if needs else shipped_needs(),
            providers=providers,
            adapters={one.name: one for one in (*others, hubspot, *adapters)},
        )
        made.append(services)
        return services

    yield make
    for services in made:
        shared_ledger.take_back(services.engine)


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    return make_services()


@cache
def shipped_needs() -> context_needs.ContextNeeds:
    """Which context each event needs as we ship it."""
    return context_needs.load((bootstrap.CONFIG / "sources.yaml").read_text(encoding="utf-8"))


def url_of(pair: Lease, database: str) -> str:
    return make_url(pair.database_url).set(database=database).render_as_string(hide_password=False)


def execute_sql(url: str, *statements: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement))


def _database(pair: Lease, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    execute_sql(pair.database_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield url_of(pair, name)
    execute_sql(pair.database_url, f"DROP DATABASE {name} WITH (FORCE)")
