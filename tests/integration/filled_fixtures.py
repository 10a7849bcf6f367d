"""A ledger with a past: twenty thousand generated signals of the last month, and a month of a year ago."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import redis

from config.settings import Settings
from revpipe import migrate
from revpipe.action_policy import ActionPolicy
from revpipe.circuits import RedisCircuits, scope_of
from revpipe.db import make_engine, transaction
from revpipe.embedded.client import Lease
from revpipe.generating import fill
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from tasks import dispatch
from tests.broker_control import BrokerControl
from tests.integration.conftest import execute_sql, shipped_needs, url_of
from tests.integration.ledger_fixtures import FakeAdapter, FakeProvider, MovableClock

SIGNALS = 20_000
YEAR = timedelta(days=370)


@dataclass(frozen=True)
class Filled:
    """The ledger's URL, and the suffix of its partitions of a year ago."""

    url: str
    past: str


@pytest.fixture(scope="module")
def filled(pair: Lease, template: str) -> Iterator[Filled]:
    """Tests share it: what one changes is a few of many rows."""
    name = "filled_ledger"
    execute_sql(pair.database_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    url, now = url_of(pair, name), datetime.now(UTC)
    engine = make_engine(url)
    with transaction(engine) as tx:
        migrate.ensure_partitions(tx, now - YEAR)
    fill.fill(engine, fill.Wish(SIGNALS, now))
    engine.dispose()
    yield Filled(url, f"_{now - YEAR:%Y_%m}")
    execute_sql(pair.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def busy(
    filled: Filled,
    pair: Lease,
    broker_url: str,
    broker: BrokerControl,
    dispatcher: dispatch.CeleryDispatcher,
    clock: MovableClock,
    book: RuleBook,
    policy: Mapping[str, ActionPolicy],
) -> Iterator[Services]:
    """Services over that ledger, with real circuits and fakes for the vendors."""
    adapters = [FakeAdapter("hubspot", ("create_task", "update_crm"), batch=10), FakeAdapter("slack", ("send_alert",))]
    client = redis.Redis.from_url(pair.redis_url)
    services = Services(
        settings=Settings(database_url=filled.url, redis_url=pair.redis_url, broker_url=broker_url),
        engine=make_engine(filled.url, pool_size=6),
        dispatcher=dispatcher,
        clock=clock,
        rules=book,
        policy=policy,
        needs=shipped_needs(),
        providers=[FakeProvider(clock)],
        adapters={one.name: one for one in (*adapters, FakeAdapter("drafts", ("draft_followup",)))},
        circuits=RedisCircuits(client, scope_of(filled.url)),
    )
    yield services
    services.engine.dispose()
    client.close()
