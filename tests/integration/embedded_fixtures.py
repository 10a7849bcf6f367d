"""Clients of the embedded servers as processes of their own, and the means to see who is left running."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from kombu import Connection  # type: ignore[attr-defined]

from revpipe.embedded.client import Lease, wait_stopped
from tests.prepared_ledger import PreparedLedger

_ROOT = Path(__file__).parents[2]
_HOLD = """
import sys
from pathlib import Path
from revpipe.embedded.client import Lease
with Lease(Path(sys.argv[1])) as lease:
    print(lease.database_url, flush=True)
    sys.stdin.read()
"""
_CYCLE = """
import random, sys, time
from pathlib import Path
import psycopg
from revpipe.embedded.client import Lease
chance = random.Random(int(sys.argv[2]))
for _ in range(int(sys.argv[3])):
    with Lease(Path(sys.argv[1])) as lease:
        with psycopg.connect(lease.database_url.replace("+psycopg", "")) as connection:
            connection.execute("SELECT 1")
        print("served", flush=True)
    time.sleep(chance.uniform(0.9, 1.4))
"""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder of its own, not below pytest's: it shuts its folder to the user that root's servers run as."""
    folder = Path(tempfile.mkdtemp(prefix="revpipe-test-"))
    yield folder / "data"
    for data in [folder / "data", *folder.glob("*/data")]:
        assert wait_stopped(data)
    shutil.rmtree(folder)


@pytest.fixture
def filled_dir(data_dir: Path, empty_ledger: PreparedLedger) -> Path:
    """A data folder in which the servers ran once, and stopped."""
    return empty_ledger.plant(data_dir)


@pytest.fixture
def clients() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts client processes: `clients(folder)` holds a lease until killed, more arguments make it cycle."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, *cycle: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _CYCLE if cycle else _HOLD, str(folder), *map(str, cycle)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=_ROOT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def url_of(client: subprocess.Popen[str]) -> str:
    """The database URL that a holding client was told; waits until it was."""
    assert client.stdout is not None
    assert client.stderr is not None
    return client.stdout.readline().strip() or pytest.fail(client.stderr.read())


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows that a statement returns, in a transaction of its own."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else []


def broker_answers(url: str) -> bool:
    """Whether Celery's transport gets through to the broker; it raises otherwise."""
    with Connection(url) as broker:  # type: ignore[no-untyped-call]
        broker.connect()
        return bool(broker.connected)


def supervisors(folder: Path) -> list[psutil.Process]:
    """The supervisors of a data folder."""
    words = {"revpipe.embedded.supervisor", str(folder.resolve())}
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if words <= set(process.info["cmdline"] or ())]


def family(folder: Path) -> list[psutil.Process]:
    """The one supervisor of a data folder, the two servers and all that they started."""
    (supervisor,) = supervisors(folder)
    children = supervisor.children(recursive=True)
    assert {"postgres", "valkey-server"} <= {process.name() for process in children}
    return [supervisor, *children]


def server(folder: Path, name: str) -> psutil.Process:
    """The server process `name` that the folder's supervisor started."""
    (supervisor,) = supervisors(folder)
    return next(process for process in supervisor.children() if process.name() == name)


def all_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Whether all of them end within that time; a process that nobody has reaped yet has ended."""
    return within(seconds, lambda: not any(_runs(process) for process in processes))


def within(seconds: float, holds: Callable[[], bool], every: float = 0.1) -> bool:
    """Whether something comes to hold in that time; to look through all processes of a machine takes a while."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def fork_and_sleep() -> int:
    """Fork a child that lives on, with whatever it inherited, until it is killed; its pid."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    return child


def lease_fails(folder: Path) -> str:
    """The complaint of a lease that can't be had."""
    from revpipe.errors import Misconfigured

    with pytest.raises(Misconfigured) as caught:
        Lease(folder, timeout=60)
    return str(caught.value)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
