"""The smallest formation within what small plans allow: 18 connections to the database, 18 to Redis."""

import ast
from dataclasses import dataclass

import click
import pytest
from project_files import ROOT, sources
from sqlalchemy import QueuePool

from config.queues import select, threads_of
from config.settings import Settings
from revpipe import bootstrap, wsgi
from revpipe.capacity.connections import EACH_WEB_PROCESS, HELD, WORKER_THREADS, Held
from revpipe.circuits import RedisCircuits
from revpipe.cli import cli
from revpipe.services import Services
from tasks import dispatch
from tasks.app import make_app
from tasks.brokers import redis
from tasks.brokers.redis import RedisBroker

PLAN = 18
LISTENING = 6
"""What a Celery worker holds beside its publishing: fetching, acknowledging, restoring and remote control. Counted by
CLIENT LIST on an idle `revpipe worker all`, and the same under load."""
SETTINGS = Settings(
    database_url="postgresql+psycopg://nobody@127.0.0.1:1/none",
    redis_url="redis://127.0.0.1:1/0",
    hubspot_access_token="t",
    slack_bot_token="t",
    slack_default_channel="C1",
    hubspot_client_secret=("s",),
    public_url="https://revpipe.example",
)


@dataclass(frozen=True)
class Use:
    """What one process holds at the most."""

    database: int
    redis: int


def default(command: str, option: str) -> int:
    """The default of a command's option, as the Procfile leaves it."""
    known = cli.get_command(click.Context(cli), command)
    assert known is not None
    value = next(one.default for one in known.params if one.name == option)
    assert isinstance(value, int)
    return value


def use_of(services: Services, *, gate: int = 0, listening: int = 0) -> Use:
    """The limits of the very pools that a process is given."""
    dispatcher = services.dispatcher
    assert isinstance(dispatcher, dispatch.CeleryDispatcher)
    pool = services.engine.pool
    assert isinstance(pool, QueuePool)
    publishing = dispatcher.app.conf.broker_pool_limit
    asking = dispatcher.broker.connections
    return Use(pool.size() + pool._max_overflow, publishing + asking + gate + listening)


def web() -> Use:
    """All processes of the web line."""
    one = use_of(bootstrap.for_web(SETTINGS, connections=wsgi.CONNECTIONS))
    processes = default("web", "processes")
    return Use(processes * one.database, processes * one.redis)


def worker() -> Use:
    """The one worker that works all queues; two more connections than threads, for the renewal of leases."""
    threads = threads_of(select(("all",)))
    made = bootstrap.for_worker(SETTINGS, ("enrich.low", "execute.slack.low"), connections=threads + 2)
    return use_of(made, gate=bootstrap.GATE_CONNECTIONS, listening=LISTENING)


def keeper() -> Use:
    """The keeper, which does one thing at a time."""
    return use_of(bootstrap.for_keeper(SETTINGS))


def beat() -> Use:
    """Beat publishes and has nothing to do with the ledger."""
    return Use(0, make_app(SETTINGS).conf.broker_pool_limit)


FORMATION = {"web": web, "worker": worker, "keeper": keeper, "beat": beat}


@pytest.mark.parametrize("of", ["database", "redis"])
def test_the_smallest_formation_fits_the_plan(of: str) -> None:
    held = {name: getattr(count(), of) for name, count in FORMATION.items()}
    assert sum(held.values()) <= PLAN, held


@pytest.mark.parametrize("kind", FORMATION)
def test_the_calculator_counts_what_the_pools_allow(kind: str) -> None:
    held, use = HELD[kind], FORMATION[kind]()
    assert (held.database, held.redis) == (use.database, use.redis)


def test_the_calculator_knows_the_defaults_of_the_commands() -> None:
    processes = default("web", "processes")
    assert HELD["web"] == Held(processes * EACH_WEB_PROCESS.database, processes * EACH_WEB_PROCESS.redis)
    assert threads_of(select(("all",))) == WORKER_THREADS


def test_the_worker_process_asks_for_the_pool_that_is_counted_here() -> None:
    assert "connections=concurrency + 2" in (ROOT / "tasks/worker.py").read_text(encoding="utf-8")


def test_web_and_keeper_ask_for_circuits_over_the_connection_that_asks_the_broker() -> None:
    for made in (bootstrap.for_web(SETTINGS), bootstrap.for_keeper(SETTINGS)):
        dispatcher, circuits = made.dispatcher, made.circuits
        assert isinstance(dispatcher, dispatch.CeleryDispatcher)
        assert isinstance(dispatcher.broker, RedisBroker)
        assert isinstance(circuits, RedisCircuits)
        assert circuits.client is dispatcher.broker.client


def test_whoever_connects_as_the_settings_say_heeds_a_pooler() -> None:
    calls = [
        (path, ast.unparse(node))
        for path, text in sources("revpipe", "tasks")
        if "make_engine" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "make_engine"
    ]
    by_setting = [(path, call) for path, call in calls if "settings.database_url" in call]
    assert len(by_setting) >= 3
    assert [path for path, call in by_setting if "prepared=settings.database_prepared" not in call] == []


def test_a_pool_that_is_used_up_makes_callers_wait_instead_of_opening_more() -> None:
    client = redis.client(SETTINGS)
    assert client.connection_pool.max_connections == RedisBroker.connections
    gate = bootstrap._gate_client(str(SETTINGS.redis_url))
    assert type(client.connection_pool).__name__ == type(gate.connection_pool).__name__ == "BlockingConnectionPool"
    assert gate.connection_pool.max_connections == bootstrap.GATE_CONNECTIONS
