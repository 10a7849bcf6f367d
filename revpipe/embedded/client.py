"""PostgreSQL and Valkey for a machine that has none: the client's side of their supervisor."""

import fcntl
import functools
import json
import os
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from config.settings import Settings
from revpipe.embedded.places import Places
from revpipe.errors import Misconfigured

START_SECONDS: Final = 120.0
"""How long a client waits: a first start on a slow disk, or a recovery after a crash, takes its time."""


class Lease:
    """A claim on the embedded servers of a data folder, which run as long as any lease on them is open.

    `database_url` is for SQLAlchemy, `redis_url` for redis-py, `broker_url` for Celery. They stay the same
    for a folder. A lease ends with `close()` or with its process, however that ends. It is not handed down:
    a child process needs its parent's lease to stay open, or one of its own.
    """

    def __init__(self, data_dir: Path, *, timeout: float = START_SECONDS) -> None:
        """Wait, at most `timeout` seconds, until both servers answer; start them if need be.

        Raises Misconfigured, saying what to do, if they can't be had.
        """
        self._socket, urls = _obtain(Places.of(data_dir), time.monotonic() + timeout)
        self.database_url: str = urls["database_url"]
        self.redis_url: str = urls["redis_url"]
        self.broker_url: str = urls["broker_url"]
        _close_in_forks()
        _open.add(self)

    @property
    def alive(self) -> bool:
        """False once the lease is closed or the supervisor is gone, and the servers with it."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Give the servers up; about a second after the last lease on them they stop."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_open: "weakref.WeakSet[Lease]" = weakref.WeakSet()


@functools.cache
def _close_in_forks() -> None:
    # A forked child holds a copy of the socket, and would keep the servers running after its parent is gone.
    def close_all() -> None:
        for lease in list(_open):
            lease.close()

    os.register_at_fork(after_in_child=close_all)


@contextmanager
def servers(data_dir: Path, *, timeout: float = START_SECONDS) -> Iterator[Lease]:
    """The embedded servers of a data folder, for the length of a `with` block. Raises Misconfigured."""
    with Lease(data_dir, timeout=timeout) as lease:
        yield lease


@contextmanager
def filled(settings: Settings) -> Iterator[tuple[Settings, Lease | None]]:
    """`settings` whose database and Redis are there, for the length of a `with` block.

    Where a URL is missing it is that of the data folder's embedded servers, and the lease on them comes along.
    Raises Misconfigured if they can't be had.
    """
    if settings.database_url and settings.redis_url:
        yield settings, None
        return
    with servers(settings.revpipe_data_dir) as lease:
        found = replace(
            settings,
            database_url=settings.database_url or lease.database_url,
            redis_url=settings.redis_url or lease.redis_url,
        )
        yield found, lease


def wait_stopped(data_dir: Path, timeout: float = 30) -> bool:
    """Whether, within `timeout` seconds, no process of the folder's supervisor and servers is left."""
    deadline = time.monotonic() + timeout
    places = Places.of(data_dir)
    while any(_held(places.lock(holder)) for holder in ("supervisor", "postgres", "valkey")):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _obtain(places: Places, deadline: float) -> tuple[socket.socket, dict[str, str]]:
    """A connection on which the supervisor has named its servers. Each try may meet one that just stops."""
    _make_folder(places.data)
    complaint = ""
    while time.monotonic() < deadline:
        connection = _connect(places, deadline)
        if connection is None:
            if complaint:
                raise Misconfigured(complaint.strip())
            complaint = _launch(places.data, deadline)
            continue
        answer = _read_answer(connection)
        if "urls" in answer:
            connection.settimeout(None)
            return connection, answer["urls"]
        connection.close()
        if "error" in answer:
            raise Misconfigured(answer["error"])
        complaint = ""
        time.sleep(0.02)
    raise Misconfigured(
        f"The embedded servers in {places.data} did not start in time. See {places.log('supervisor')},"
        " or set DATABASE_URL and REDIS_URL to servers of your own."
    )


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(data, os.R_OK | os.W_OK | os.X_OK)
    except OSError:
        usable = False
    if not usable:
        raise Misconfigured(
            f"{data} can't be used as the data folder of the embedded servers: it is not a folder, or you may not"
            " write there. Set REVPIPE_DATA_DIR to a folder of your own, or set DATABASE_URL and REDIS_URL."
        )


def _connect(places: Places, deadline: float) -> socket.socket | None:
    """A connection to the supervisor, or None if none listens."""
    if not places.trusted_runtime():
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(max(0.1, deadline - time.monotonic()))
    try:
        connection.connect(str(places.control))
    except (FileNotFoundError, ConnectionError, BlockingIOError, TimeoutError):
        connection.close()
        return None
    return connection


def _read_answer(connection: socket.socket) -> dict[str, Any]:
    """What the supervisor says, one line of JSON; empty if it went away or stayed silent to the deadline."""
    text = b""
    with suppress(ConnectionError, TimeoutError):
        while not text.endswith(b"\n") and (piece := connection.recv(4096)):
            text += piece
    answer: dict[str, Any] = json.loads(text) if text.endswith(b"\n") else {}
    return answer


def _launch(data: Path, deadline: float) -> str:
    """Start a supervisor in a session of its own; what it complains about, or "" if one listens now.

    It closes its output as soon as it, or another one, listens; that is what ends the wait here.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "revpipe.embedded.supervisor", str(data)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            timeout=max(0.1, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout or (done.stderr if done.returncode else "")
