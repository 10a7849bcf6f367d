"""What waits, by queue: how many and since when, for people and for Prometheus."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from click.testing import CliRunner

from config.queues import QUEUES
from revpipe import queue_states
from revpipe.circuits import RedisCircuits, scope_of
from revpipe.cli import cli
from revpipe.db import transaction
from revpipe.embedded.client import Lease
from revpipe.errors import CredentialsRefused
from revpipe.gate import RedisGate
from revpipe.queue_states import QueueState
from revpipe.services import Services
from revpipe.web.app import create_app
from tests.broker_control import BrokerControl
from tests.integration.ledger_fixtures import MovableClock, call, put, rows, run_to


@pytest.fixture
def store(pair: Lease, broker: BrokerControl) -> Iterator[redis.Redis]:
    """The Redis of the circuits, empty: the broker's fixture has emptied it."""
    with redis.Redis.from_url(pair.redis_url) as client:
        yield client


def states(services: Services, *, whole: bool = True) -> dict[str, QueueState]:
    with transaction(services.engine) as tx:
        found = queue_states.read(tx, services.clock.now(), whole=whole)
    return {one.queue: one for one in found}


def wait(services: Services, *names: str, urgency: str = "low") -> None:
    """Signals that are due and that nobody has sent."""
    put(services, *(call(name, name, urgency=urgency) for name in names))
    rows(services, "UPDATE signals SET sent_at = NULL WHERE queue IS NOT NULL")


def metric(services: Services, name: str) -> dict[str, float]:
    answer = create_app(services).test_client().get("/metrics")
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if line.startswith(name + "{")]
    return {line[len(name) :].rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def test_the_oldest_that_is_due_tells_the_age(services: Services, clock: MovableClock) -> None:
    wait(services, "old")
    clock.move(seconds=40)
    wait(services, "new", "newer")
    wait(services, "urgent", urgency="immediate")
    rows(services, "UPDATE signals SET due_at = :at WHERE deal_id = 'newer'", at=clock.now().replace(year=2100))
    clock.move(seconds=2)
    found = states(services)
    assert set(found) == set(QUEUES)
    low, urgent = found["enrich.low"], found["enrich.immediate"]
    assert (low.due, low.later, low.sent, low.claimed) == (2, 1, 0, 0)
    assert (urgent.due, urgent.priority) == (1, "immediate")
    assert [low.oldest_s, urgent.oldest_s] == pytest.approx([42, 2])
    assert found["decide.low"].empty
    assert states(services, whole=False)["enrich.low"] == replace(low, later=0)


def test_actions_and_what_was_sent_count_as_well(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    clock.move(seconds=5)
    before = states(services)["execute.hubspot.standard"]
    assert (before.due, before.sent) == (0, 1)
    assert before.oldest_s == pytest.approx(5)
    rows(services, "UPDATE actions SET sent_at = NULL WHERE queue = 'execute.hubspot.standard'")
    after = states(services)["execute.hubspot.standard"]
    assert (after.due, after.sent) == (1, 0)
    assert after.oldest_s == pytest.approx(5)
    rows(services, "UPDATE actions SET queue = 'execute.gone.standard' WHERE queue = 'execute.hubspot.standard'")
    assert states(services)["execute.gone.standard"].due == 1


def test_what_was_sent_ages_until_a_worker_claims_it(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    clock.move(seconds=90)
    (queue,) = (one.queue for one in states(services).values() if one.sent)
    label = f'{{priority="{queue.rpartition(".")[2]}",queue="{queue}"}}'
    assert metric(services, "revpipe_queue_oldest_seconds")[label] == pytest.approx(90)
    assert metric(services, "revpipe_queue_waiting")[label] == 0
    rows(services, "UPDATE signals SET claim_id = :id, lease_until = :until", id=uuid.uuid4(), until=clock.now())
    held = states(services)[queue]
    assert (held.sent, held.claimed, held.oldest_s) == (0, 1, None)
    assert metric(services, "revpipe_queue_oldest_seconds")[label] == 0


def test_a_long_queue_is_counted_only_so_far(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    wait(services, *(f"s{at}" for at in range(7)))
    monkeypatch.setattr(queue_states, "MOST", 5)
    assert states(services)["enrich.low"].due == 5
    monkeypatch.setenv("DATABASE_URL", str(services.settings.database_url))
    monkeypatch.setenv("REDIS_URL", str(services.settings.redis_url))
    monkeypatch.delenv("BROKER_URL", raising=False)
    assert "5+" in CliRunner().invoke(cli, ["queues"]).output
    (row,) = json.loads(CliRunner().invoke(cli, ["queues", "--json"]).output)["queues"]
    assert (row["queue"], row["priority"], row["due"]) == ("enrich.low", "low", 5)


def test_prometheus_sees_every_queue(services: Services, clock: MovableClock) -> None:
    wait(services, "a", "b")
    clock.move(seconds=30)
    ages, counts = metric(services, "revpipe_queue_oldest_seconds"), metric(services, "revpipe_queue_waiting")
    low = '{priority="low",queue="enrich.low"}'
    assert (ages[low], counts[low]) == (pytest.approx(30.0, abs=0.001), 2.0)
    assert (
        set(ages) == set(counts) == {f'{{priority="{queue.rpartition(".")[2]}",queue="{queue}"}}' for queue in QUEUES}
    )


def test_prometheus_sees_circuits(services: Services, store: redis.Redis) -> None:
    scope = scope_of(str(services.settings.database_url))
    asked = replace(services, circuits=RedisCircuits(store, scope))
    assert metric(asked, "revpipe_circuit_open") == {}
    gate = RedisGate(store, {}, scope)
    gate.spend("hubspot", "search")
    gate.report("hubspot", "search", CredentialsRefused("401"))
    name = '{kind="search",vendor="hubspot"}'
    assert metric(asked, "revpipe_circuit_open") == {name: 1.0}


def test_without_redis_the_rest_is_told(services: Services) -> None:
    gone = redis.Redis(port=9, socket_connect_timeout=1, socket_timeout=1)
    cut_off = replace(services, circuits=RedisCircuits(gone))
    assert metric(cut_off, "revpipe_circuit_open") == {}
    assert len(metric(cut_off, "revpipe_queue_oldest_seconds")) == len(QUEUES)
