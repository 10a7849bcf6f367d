"""`revpipe up` as people and machines treat it: asked twice, interrupted, killed, robbed of its parts."""

import fcntl
import json
import re
import signal
import socket
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests import rabbitmq_server
from tests.broker_control import control
from tests.integration.formation_fixtures import Command, data_folder, run, started, users_of, within
from tests.members import members

UP = ("up", "--sandbox", "--port", "0", "--data-dir")
PATIENCE = 90.0
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings that lead to the broker of this run of the tests, emptied, where that is not the embedded one."""
    if not rabbitmq_server.wanted():
        return {}
    request.getfixturevalue("rabbit")
    settings = rabbitmq_server.settings(rabbitmq_server.APART)
    control(settings["BROKER_URL"]).flush()
    return settings


def answer(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def test_without_settings_it_names_each_variable_and_the_sandbox(folder: Path) -> None:
    done = run("up", "--port", "0", REVPIPE_DATA_DIR=str(folder))
    assert done.returncode == 2
    for name in ("HUBSPOT_ACCESS_TOKEN", "SLACK_BOT_TOKEN", "SLACK_DEFAULT_CHANNEL", "revpipe up --sandbox"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "postgres").exists()


def test_a_port_in_use_is_told_before_anything_starts(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = run("up", "--sandbox", "--port", port, "--data-dir", str(folder))
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert not (folder / "postgres").exists()


def test_its_life_from_ready_to_one_sigterm(folder: Path, broker: dict[str, str]) -> None:
    stale(folder)
    with started(*UP, str(folder), **broker) as up:
        url, logs = up.word("ready"), Path(up.word("logs"))
        ready_means_that_all_answer(url, logs)
        the_first_admin_gets_in_once(url, up.word("sign-in"))
        a_second_one_is_refused(up, folder)
        a_dead_child_is_told_of_and_started_again(up)
        assert answer(f"{url}/readyz")["status"] == "ok"
        up.process.send_signal(signal.SIGTERM)
        trace = run("trace", "4711", REVPIPE_DATA_DIR=str(folder))
        assert trace.returncode == 2
        assert "knows no signal" in trace.stderr
        assert up.ends() == 0, up.said()
        assert "Traceback" not in up.said()
    assert within(PATIENCE, lambda: not users_of(folder))


def the_first_admin_gets_in_once(url: str, link: str) -> None:
    assert link.startswith(url)
    with requests.Session() as browser:
        token = re.search(r'name="csrf_token" value="(\w+)"', browser.get(link, timeout=10).text)
        assert token
        entered = browser.post(link, data={"csrf_token": token.group(1)}, timeout=10)
        assert entered.status_code == 200, entered.text
        assert "@localhost, admin" in browser.get(f"{url}/console/account", timeout=10).text
    assert requests.get(link, timeout=10).status_code == 410


def test_killed_it_leaves_nothing_and_starts_anew(folder: Path, broker: dict[str, str]) -> None:
    with started(*UP, str(folder), **broker) as up:
        up.word("ready")
        assert len(users_of(folder)) > 6
        up.process.kill()
        assert up.ends() == -signal.SIGKILL
        assert within(PATIENCE, lambda: not users_of(folder)), users_of(folder)
    with started(*UP, str(folder), **broker) as up:
        up.word("sign-in")
        (supervisor,) = [one for one in users_of(folder) if "revpipe.embedded.supervisor" in one.cmdline()]
        supervisor.kill()
        assert up.ends() == 1
        assert within(PATIENCE, lambda: "embedded PostgreSQL and Valkey are gone" in up.said()), up.said()
    assert within(PATIENCE, lambda: not users_of(folder)), users_of(folder)


def test_told_to_stop_while_it_starts_it_stops(folder: Path, broker: dict[str, str]) -> None:
    with started(*UP, str(folder), **broker) as up:
        assert within(PATIENCE, (folder / "logs" / "web.log").exists)
        up.process.send_signal(signal.SIGINT)
        assert up.ends() == 0, up.said()
        assert up.line("ready") is None
    assert within(PATIENCE, lambda: not users_of(folder)), users_of(folder)


def stale(folder: Path) -> None:
    """Logs that an earlier run left, in which every process says that it is ready."""
    (folder / "logs").mkdir(parents=True)
    for name in ("worker-urgent", "worker-bulk", "beat"):
        (folder / "logs" / f"{name}.log").write_text("worker_ready beat_ready\n")


def ready_means_that_all_answer(url: str, logs: Path) -> None:
    report = answer(f"{url}/readyz")
    assert (report["database"], report["broker"], report["keeper"]) == ("ok", "ok", "ok")
    for name, word in (("worker-urgent", "worker_ready"), ("worker-bulk", "worker_ready"), ("beat", "beat_ready")):
        log = (logs / f"{name}.log").read_text()
        assert word in log
        assert "worker_ready beat_ready" not in log
        assert (logs / f"{name}.log.1").read_text() == "worker_ready beat_ready\n"


def a_second_one_is_refused(up: Command, folder: Path) -> None:
    second = run(*UP, str(folder))
    assert second.returncode == 2
    assert f"already runs on {folder} as process {up.process.pid}" in second.stderr
    with (folder / "up.lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert up.process.poll() is None


def a_dead_child_is_told_of_and_started_again(up: Command) -> None:
    keeper, web = child(up, "keeper"), child(up, "web")
    assert keeper is not None
    assert web is not None
    orphans = web.children()
    assert orphans
    keeper.kill()
    web.kill()
    for name, old in (("keeper", keeper), ("web", web)):
        assert within(PATIENCE, partial(runs_anew, up, name, old)), up.said()
        assert f"{name} was ended by SIGKILL; it is started again in 1 s" in up.said()
    assert within(PATIENCE, lambda: not any(one.is_running() for one in orphans))
    assert within(PATIENCE, lambda: answers(f"{up.word('ready')}/readyz"))


def child(up: Command, name: str) -> psutil.Process | None:
    return members(up.process.pid).get(name)


def runs_anew(up: Command, name: str, old: psutil.Process) -> bool:
    new = child(up, name)
    return new is not None and new.pid != old.pid


def answers(url: str) -> bool:
    try:
        return bool(answer(url)["keeper"] == "ok")
    except OSError:
        return False
