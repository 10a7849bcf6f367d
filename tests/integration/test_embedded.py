"""The embedded servers with real processes and real signals: nothing is lost, nothing is left running."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import redis

from revpipe.embedded.client import Lease, servers, wait_stopped
from tests.integration.embedded_fixtures import (
    all_gone,
    ask,
    broker_answers,
    clients,
    data_dir,
    family,
    filled_dir,
    fork_and_sleep,
    lease_fails,
    server,
    supervisors,
    url_of,
    within,
)
from tests.prepared_ledger import PreparedLedger, empty_ledger

__all__ = ["clients", "data_dir", "empty_ledger", "filled_dir"]
Clients = Callable[..., subprocess.Popen[str]]


def test_both_servers_answer_by_their_urls(data_dir: Path) -> None:
    with servers(data_dir) as lease:
        settings = "SELECT current_setting('TimeZone'), current_setting('fsync'), current_setting('listen_addresses')"
        assert ask(lease.database_url, settings) == [("UTC", "on", "")]
        encoding = "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'revpipe'"
        assert ask(lease.database_url, encoding) == [("UTF8", "C")]
        with redis.Redis.from_url(lease.redis_url, decode_responses=True) as valkey:
            assert valkey.config_get("maxmemory-policy", "appendonly", "port") == {
                "maxmemory-policy": "noeviction",
                "appendonly": "yes",
                "port": "0",
            }
        assert broker_answers(lease.broker_url)


def test_nobody_else_can_look_into_the_folders(data_dir: Path) -> None:
    data_dir.parent.chmod(0o700)
    with servers(data_dir):
        # When the tests run as root, the servers' user must pass these; that is all that anybody may.
        for folder in (data_dir.parent, data_dir, data_dir / "run"):
            assert stat.S_IMODE(folder.stat().st_mode) & 0o076 == 0
        for folder in (data_dir / "postgres", data_dir / "valkey", data_dir / "run" / "servers"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_first_starts_at_once_share_one_supervisor(data_dir: Path, clients: Clients) -> None:
    pair = [clients(data_dir), clients(data_dir)]
    urls = {url_of(client) for client in pair}
    assert len(urls) == 1
    assert ask(urls.pop(), "SELECT 1") == [(1,)]
    assert within(5, lambda: len(supervisors(data_dir)) == 1)


def test_servers_live_as_long_as_the_last_client_even_if_killed(filled_dir: Path, clients: Clients) -> None:
    first, second = clients(filled_dir), clients(filled_dir)
    url = url_of(first)
    assert url_of(second) == url
    everyone = family(filled_dir)
    first.kill()
    time.sleep(2)
    assert ask(url, "SELECT 1") == [(1,)]
    second.kill()
    assert all_gone(everyone, 6)
    assert not (filled_dir / "run").exists()


def test_killing_the_supervisor_takes_the_servers_along_and_a_new_lease_finds_the_data(filled_dir: Path) -> None:
    with servers(filled_dir) as lease:
        ask(lease.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        everyone = family(filled_dir)
        everyone[0].kill()
        # Not all_gone first: the new start must cope with servers that are still stopping.
        with servers(filled_dir) as second:
            assert ask(second.database_url, "SELECT answer FROM kept") == [(42,)]
            assert second.alive
        assert not lease.alive
        assert all_gone(everyone, 6)


def test_killing_the_supervisor_alone_leaves_nothing_running(filled_dir: Path, clients: Clients) -> None:
    url_of(clients(filled_dir))
    everyone = family(filled_dir)
    everyone[0].kill()
    assert all_gone(everyone, 6)


def test_terminating_the_supervisor_stops_all_and_tells_the_clients(filled_dir: Path) -> None:
    with servers(filled_dir) as lease:
        everyone = family(filled_dir)
        everyone[0].terminate()
        assert within(6, lambda: not lease.alive)
        assert all_gone(everyone, 6)


def test_killing_everything_at_once_is_recovered_from(filled_dir: Path) -> None:
    with servers(filled_dir) as lease:
        ask(lease.database_url, "CREATE TABLE kept AS SELECT 42 AS answer")
        everyone = family(filled_dir)
        for process in everyone:
            # One of PostgreSQL's own may end by itself meanwhile.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        assert all_gone(everyone, 6)
    pid_file = filled_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    # As if, since then, another program of the same user had been given the dead postmaster's pid.
    with subprocess.Popen(["sleep", "30"], user=pid_file.stat().st_uid) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        with servers(filled_dir) as lease:
            assert ask(lease.database_url, "SELECT answer FROM kept") == [(42,)]
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("name", ["postgres", "valkey-server"])
def test_a_server_that_dies_is_started_again_at_the_same_url(filled_dir: Path, name: str) -> None:
    with servers(filled_dir) as lease:
        time.sleep(2.5)  # one that dies sooner is taken for one that can't run
        dead = server(filled_dir, name)
        dead.kill()
        assert within(10, lambda: _runs_anew(filled_dir, name, dead.pid))
        with servers(filled_dir) as second:
            assert second.database_url == lease.database_url
            assert within(10, lambda: _both_answer(second))
        assert lease.alive


def _runs_anew(folder: Path, name: str, dead: int) -> bool:
    try:
        children = [child for process in supervisors(folder) for child in process.children()]
        return any(child.name() == name and child.pid != dead for child in children)
    except psutil.NoSuchProcess:  # one of them ended while we looked
        return False


def _both_answer(lease: Lease) -> bool:
    with redis.Redis.from_url(lease.redis_url) as valkey:
        return bool(valkey.ping()) and ask(lease.database_url, "SELECT 1") == [(1,)]


def test_killing_a_first_start_leaves_nothing_half_made(data_dir: Path, clients: Clients) -> None:
    client = clients(data_dir)
    assert within(10, (data_dir / "postgres-new" / "PG_VERSION").exists, every=0.01)
    client.kill()
    supervisors(data_dir)[0].kill()
    assert not (data_dir / "postgres").exists()
    with servers(data_dir) as lease:
        assert ask(lease.database_url, "SELECT 1") == [(1,)]
    assert not (data_dir / "postgres-new").exists()


def test_clients_that_come_while_the_supervisor_stops_are_served(filled_dir: Path, clients: Clients) -> None:
    pair = [clients(filled_dir, seed, 8) for seed in (1, 2)]
    for client in pair:
        output, errors = client.communicate(timeout=90)
        assert (client.returncode, errors) == (0, "")
        assert output.split() == ["served"] * 8
    assert wait_stopped(filled_dir)
    assert supervisors(filled_dir) == []


def test_a_forked_child_does_not_keep_the_lease(filled_dir: Path) -> None:
    lease = Lease(filled_dir)
    child = fork_and_sleep()
    try:
        assert lease.alive
        lease.close()
        assert not lease.alive
        assert wait_stopped(filled_dir, 6)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize(("name", "first"), [("x" * 120, False), ("with space, comma and 'quote'", True)])
def test_any_folder_name_will_do(data_dir: Path, empty_ledger: PreparedLedger, name: str, first: bool) -> None:
    folder = data_dir.parent / name / "data"
    if not first:
        empty_ledger.plant(folder)
    with servers(folder) as lease:
        assert _both_answer(lease)
        assert broker_answers(lease.broker_url)
        everyone = family(folder)
    assert all_gone(everyone, 6)


def test_two_names_of_one_folder_share_the_servers(filled_dir: Path) -> None:
    alias = filled_dir.parent / "alias"
    alias.symlink_to(filled_dir)
    with servers(filled_dir) as first, servers(alias) as second:
        assert first.database_url == second.database_url
        assert len(supervisors(filled_dir)) == 1


def test_a_folder_that_can_not_be_used_is_named(data_dir: Path) -> None:
    data_dir.write_text("a file")
    assert "REVPIPE_DATA_DIR" in lease_fails(data_dir)
    assert str(data_dir / "below") in lease_fails(data_dir / "below")
    data_dir.unlink()


def test_a_server_that_can_not_start_is_explained_and_leaves_nothing_running(filled_dir: Path) -> None:
    with (filled_dir / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    complaint = lease_fails(filled_dir)
    assert "DATABASE_URL" in complaint
    assert "no_such_setting" in complaint
    assert wait_stopped(filled_dir, 6)
    (filled_dir / "postgres" / "PG_VERSION").write_text("17\n")
    assert "PostgreSQL 17" in lease_fails(filled_dir)
