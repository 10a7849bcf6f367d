"""What waits for a vendor's circuit: parked without burning attempts, and let go in order, bit by bit."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from revpipe import feed, parked, queries
from revpipe.circuits import RedisCircuits, scope_of
from revpipe.cli import cli
from revpipe.db import transaction
from revpipe.embedded.client import Lease
from revpipe.errors import CircuitOpen, CredentialsRefused, RevpipeError, Transient
from revpipe.gate import RedisGate
from revpipe.services import Services
from revpipe.story import view
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    FakeProvider,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    sent,
    signal_id,
    signal_row,
    take_messages,
    trail_of,
)

NAME = "crm:default"


class Vendor:
    """The circuit of a vendor, opened and closed by what calls to it would report."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._gate = RedisGate(client, {})
        self.circuits = RedisCircuits(client)

    def goes_down(self) -> None:
        self._end(CredentialsRefused("401"))

    def may_be_probed(self) -> None:
        self._client.hset(self.circuits.key(NAME), "ends", 0)

    def comes_back(self) -> None:
        self.may_be_probed()
        self._end(None)

    def _end(self, error: RevpipeError | None) -> None:
        self._gate.spend("crm", "default")
        self._gate.report("crm", "default", error)


def circuit_open() -> CircuitOpen:
    return CircuitOpen("open", circuit=NAME, retry_after=3)


@pytest.fixture
def store(pair: Lease) -> Iterator[redis.Redis]:
    """The Redis of rates and circuits, empty, whichever broker is tested."""
    with redis.Redis.from_url(pair.redis_url) as client:
        client.delete(*client.scan_iter("revpipe:*circuit*"), "none")
        yield client


@pytest.fixture
def vendor(store: redis.Redis) -> Vendor:
    return Vendor(store)


@pytest.fixture
def services(make_services: Callable[..., Services], vendor: Vendor) -> Services:
    return dataclasses.replace(make_services(), circuits=vendor.circuits)


@pytest.fixture
def down(services: Services, provider: FakeProvider, vendor: Vendor) -> Callable[..., None]:
    """Sends signals in while their vendor is down, and lets them be parked."""

    def park(*events: dict[str, Any]) -> None:
        if NAME not in vendor.circuits.states():
            vendor.goes_down()
        provider.down = circuit_open()
        put(services, *events)
        run_stage(services, "enrich")
        provider.down = None

    return park


def resumed(services: Services) -> list[str]:
    """The names of the signals that went on, in the order in which they are due."""
    names = {signal_id(name): name for name in "abcdefgh"}
    due = rows(services, "SELECT signal_id FROM signals WHERE waits_for IS NULL AND sent_at IS NULL ORDER BY due_at")
    return [names[row["signal_id"]] for row in due]


def test_a_signal_that_meets_an_open_circuit_parks_and_burns_no_attempt(
    services: Services, down: Callable[..., None], clock: MovableClock
) -> None:
    down(call("a"))
    row = signal_row(services, "a")
    assert (row["state"], row["attempts"], row["waits_for"]) == ("parked", 0, NAME)
    assert (row["due_at"] - clock.now()).total_seconds() == 600
    told = one(services, "SELECT detail FROM trail WHERE what = 'parked'")["detail"]
    assert (told["waits_for"], told["reason"], told["wait_s"]) == (NAME, "circuit_open", 600)


def test_it_goes_on_once_the_circuit_is_closed_and_ends_as_ever(
    services: Services, down: Callable[..., None], vendor: Vendor, clock: MovableClock
) -> None:
    down(call("a"))
    assert parked.drain(services) == {}
    vendor.comes_back()
    clock.move(seconds=90)
    assert parked.drain(services) == {NAME: 1}
    assert parked.drain(services) == {}
    feed.offer(services, ["enrich.standard"])
    run_to(services, "execute")
    assert "parked" in trail_of(services, "a")
    assert trail_of(services, "a").count("resumed") == 1
    told = one(services, "SELECT detail FROM trail WHERE what = 'resumed'")["detail"]
    assert told == {"waits_for": NAME}, "it was refused by the circuit, and never tried"
    assert one(services, "SELECT complete FROM contexts")["complete"]
    assert one(services, "SELECT count(*) AS n FROM dead_letters")["n"] == 0
    with transaction(services.engine) as tx:
        story = "\n".join(view.lines(queries.story(tx, signal_id("a"))))
    assert "waits for crm, tried in 10 min at the latest" in story
    assert "crm answers again" in story


def test_the_oldest_windows_go_first_and_no_more_than_a_few_at_once(
    services: Services, down: Callable[..., None], vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(call("a", age_s=10), call("b", age_s=40), call("c", age_s=20), call("d", age_s=30))
    vendor.comes_back()
    monkeypatch.setattr(parked, "AT_ONCE", 2)
    assert parked.drain(services) == {NAME: 2}
    assert resumed(services) == ["b", "d"]
    assert parked.drain(services) == {}, "they still wait to be sent"
    feed.offer(services, ["enrich.standard"])
    [chunk] = sent(services, "signals", "true")
    assert set(chunk.ids) == {signal_id("b"), signal_id("d")}
    assert parked.drain(services) == {NAME: 2}
    assert resumed(services) == ["c", "a"]


def test_fresh_work_does_not_stand_behind_them_and_bulk_does_not_hold_up_what_is_urgent(
    services: Services, down: Callable[..., None], vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(call("a", age_s=50), call("b", age_s=40))
    down(call("c", age_s=10, urgency="immediate"))
    put(services, call("d"), call("e"))
    rows(services, "UPDATE signals SET sent_at = NULL WHERE waits_for IS NULL")
    vendor.comes_back()
    monkeypatch.setattr(parked, "AT_ONCE", 2)
    assert parked.drain(services) == {NAME: 1}
    assert signal_row(services, "c")["waits_for"] is None
    assert signal_row(services, "a")["waits_for"] == NAME


def test_when_the_period_is_over_one_row_at_a_time_goes_as_the_probe_and_not_always_the_same(
    services: Services, down: Callable[..., None], vendor: Vendor, provider: FakeProvider, clock: MovableClock
) -> None:
    down(call("a", age_s=30))
    clock.move(seconds=1)
    down(call("b", age_s=90))
    assert parked.drain(services) == {}, "the circuit is open"
    probes: list[str] = []
    for _ in range(3):
        vendor.may_be_probed()
        clock.move(seconds=5)
        assert parked.drain(services) == {NAME: 1}
        assert parked.drain(services) == {}, "one was invited already"
        probes += resumed(services)
        feed.offer(services, ["enrich.standard"])
        provider.down = Transient("503")
        provider.down.circuit = NAME
        vendor.goes_down()
        run_stage(services, "enrich")
    assert probes == ["b", "a", "b"], "of those never tried the oldest window goes first"
    assert {signal_row(services, name)["attempts"] for name in "ab"} == {0}


def test_an_action_is_the_probe_if_it_was_not_tried_for_longest(
    services: Services, down: Callable[..., None], vendor: Vendor, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = lambda _order: circuit_open()
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    action = one(services, "SELECT * FROM actions WHERE adapter = 'hubspot'")
    assert (action["state"], action["attempts"], action["waits_for"]) == ("ready", 0, NAME)
    assert not action["maybe_done"]
    clock.move(seconds=1)
    down(call("b", deal="d2"))
    rows(services, "UPDATE actions SET created_at = created_at - interval '1 hour'")
    vendor.may_be_probed()
    assert parked.drain(services) == {NAME: 1}
    assert one(services, "SELECT waits_for FROM actions WHERE adapter = 'hubspot'")["waits_for"] is None
    vendor.comes_back()
    assert parked.drain(services) == {NAME: 1}
    hubspot.script = None
    feed.offer(services, [action["queue"]])
    run_act(services)
    assert one(services, "SELECT state FROM actions WHERE adapter = 'hubspot'")["state"] == "done"
    assert hubspot.count("find") == 0


def test_two_keepers_at_once_let_each_row_go_once(
    services: Services, down: Callable[..., None], vendor: Vendor
) -> None:
    down(*(call(name, deal=name) for name in "abcdefgh"))
    vendor.comes_back()
    counts: Sequence[dict[str, int]] = at_once(3, lambda _: parked.drain(services))
    assert sum(count.get(NAME, 0) for count in counts) == 8
    assert one(services, "SELECT count(*) AS n FROM trail WHERE what = 'resumed'")["n"] == 8


def test_without_redis_rows_wait_and_are_tried_in_the_end(
    services: Services, down: Callable[..., None], clock: MovableClock
) -> None:
    down(call("a"))
    gone = RedisCircuits(redis.Redis("127.0.0.1", 1, retry=None))
    assert parked.drain(dataclasses.replace(services, circuits=gone)) == {}
    assert signal_row(services, "a")["waits_for"] == NAME
    clock.move(minutes=10)
    feed.offer(services, ["enrich.standard"])
    run_stage(services, "enrich")
    row = signal_row(services, "a")
    assert (row["state"], row["waits_for"]) == ("enriched", None)


def test_an_action_that_nobody_woke_is_tried_by_itself_and_waits_for_nothing_any_more(
    services: Services, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    hubspot.script = lambda _order: circuit_open()
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    hubspot.script = None
    clock.move(minutes=10)
    action = one(services, "SELECT queue, waits_for FROM actions WHERE adapter = 'hubspot'")
    assert action["waits_for"] == NAME
    feed.offer(services, [action["queue"]])
    run_act(services)
    action = one(services, "SELECT state, waits_for FROM actions WHERE adapter = 'hubspot'")
    assert action == {"state": "done", "waits_for": None}


def test_a_circuit_that_redis_has_forgotten_counts_as_closed(
    services: Services, down: Callable[..., None], store: redis.Redis
) -> None:
    down(call("a"))
    store.delete(*store.scan_iter("revpipe::*"))
    assert parked.drain(services) == {NAME: 1}


def test_nobody_waits_longer_than_the_signal_lives(
    services: Services, down: Callable[..., None], provider: FakeProvider, clock: MovableClock
) -> None:
    down(call("a"))
    clock.move(hours=23, minutes=55)
    feed.offer(services, ["enrich.standard"])
    provider.down = circuit_open()
    run_stage(services, "enrich")
    row = signal_row(services, "a")
    assert row["due_at"] == row["expires_at"]
    clock.move(minutes=6)
    feed.offer(services, ["enrich.standard"])
    run_stage(services, "enrich")
    assert (signal_row(services, "a")["disposition"], signal_row(services, "a")["reason"]) == (
        "dead_lettered",
        "expired_waiting",
    )


def test_optional_context_does_not_wait_for_a_circuit(
    make_services: Callable[..., Services], provider: FakeProvider
) -> None:
    needs = "context:\n- {events: ['*'], optional: [deal]}\n"
    services = make_services(needs=needs)
    provider.down = circuit_open()
    put(services, call("a"))
    run_stage(services, "enrich")
    stored = one(services, "SELECT parts, complete FROM contexts")
    assert (stored["complete"], stored["parts"]["deal"]["missing"]) == (False, "circuit_open")
    assert signal_row(services, "a")["state"] == "enriched"


def test_how_many_rows_wait_is_told_by_circuit(services: Services, down: Callable[..., None]) -> None:
    down(call("a"), call("b"))
    with transaction(services.engine) as tx:
        assert parked.waiting(tx) == {NAME: 2}
        assert parked.waited_for(tx) == [NAME]
    take_messages(services, "enrich")


def test_the_queues_command_shows_circuits_and_what_waits_for_them(
    services: Services, down: Callable[..., None], store: redis.Redis, pair: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(call("a"), call("b"))
    ledger = str(services.settings.database_url)
    monkeypatch.setenv("DATABASE_URL", ledger)
    monkeypatch.setenv("REDIS_URL", pair.redis_url)
    monkeypatch.delenv("BROKER_URL", raising=False)
    gate = RedisGate(store, {}, scope_of(ledger))
    gate.spend("crm", "default")
    gate.report("crm", "default", CredentialsRefused("401"))
    said = CliRunner().invoke(cli, ["queues"]).output
    assert re.search(r"crm:default +open +\S+ m?s +1 +2  credentials refused", said), said
    (told,) = json.loads(CliRunner().invoke(cli, ["queues", "--json"]).stdout)["circuits"]
    assert (told["name"], told["state"], told["failures"], told["waiting"]) == (NAME, "open", 1, 2)
