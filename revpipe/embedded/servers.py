"""The two embedded servers as processes: how PostgreSQL and Valkey are started, kept and stopped."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from revpipe.embedded import process as server_process
from revpipe.embedded.account import server_account
from revpipe.embedded.places import Places
from revpipe.embedded.process import claim, launch, tail
from revpipe.errors import Misconfigured

POSTGRES_MAJOR: Final = "18"
_PORT: Final = 5432
"""Only part of the socket's name: no TCP port is opened."""
_VALKEY_SOCKET: Final = "valkey.sock"
_SECONDS: Final = 90.0
"""How long a server may take until it answers; after a crash it first replays its log."""
_SOON: Final = 2.0
"""A server that dies within this many seconds of its start is not started again."""

_STOP: Final = {
    "postgres": ((0.0, signal.SIGINT), (10.0, signal.SIGQUIT), (15.0, signal.SIGKILL)),
    "valkey": ((0.0, signal.SIGTERM), (10.0, signal.SIGKILL)),
}
"""Which signal after how many seconds (PostgreSQL docs, Shutting Down the Server)."""
_INITDB: Final = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
"""No password is needed: nobody else can reach the folder of the socket."""
_POSTGRES: Final = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
_VALKEY: Final = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
    # By its command line a left-over server is recognised.
    "set-proc-title": "no",
}


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    since: float


class EmbeddedServers:
    """PostgreSQL and Valkey on one data folder. Only the holder of the folder's lock may use it."""

    def __init__(self, places: Places) -> None:
        """Find the programs and the account. Raises Misconfigured if something is missing."""
        self.places = places
        self._programs = server_process.programs()
        self._account = server_account()
        self._running: dict[str, _Running] = {}

    @property
    def urls(self) -> dict[str, str]:
        """How SQLAlchemy, redis-py and Celery name the servers."""
        redis = self.places.sockets / _VALKEY_SOCKET
        return {
            # The port is named because PGPORT in a client's environment would win otherwise.
            "database_url": f"postgresql+psycopg://postgres@/revpipe?host={self.places.sockets}&port={_PORT}",
            "redis_url": f"unix://{redis}?db=0",
            "broker_url": f"redis+socket://{redis}?virtual_host=0",
        }

    def prepare(self) -> None:
        """Make the folders, free of what an earlier run left in them."""
        places, account = self.places, self._account
        server_process.fresh_runtime(places)
        account.let_through(places.data, *self._programs.values())
        account.own_folder(places.sockets)
        account.own_folder(places.data / "valkey")
        if (places.data / "postgres").exists():
            account.own_folder(places.data / "postgres")

    def start(self) -> None:
        """Start what does not run and wait until it answers. Raises Misconfigured."""
        fresh = {"valkey": self._start_valkey, "postgres": self._start_postgres}
        fresh = {name: start for name, start in fresh.items() if name not in self._running}
        for name, start in fresh.items():
            self._running[name] = _Running(start(), time.monotonic())
        for name in fresh:
            self._await(name)

    def keep_up(self) -> None:
        """Start a server again that has died. Raises Misconfigured if it died at once."""
        for name, running in list(self._running.items()):
            if running.process.poll() is None:
                continue
            if time.monotonic() - running.since < _SOON:
                raise Misconfigured(_why(name, self.places.log(name)))
            del self._running[name]
            self.start()

    def stop(self) -> None:
        """Stop both: PostgreSQL fast, then, if it hangs, at once."""
        for name, running in self._running.items():
            running.process.send_signal(_STOP[name][0][1])
        for name, running in self._running.items():
            server_process.see_off(running.process, _STOP[name])
        self._running.clear()

    def _start_valkey(self) -> subprocess.Popen[bytes]:
        folder, path = self.places.data / "valkey", self.places.sockets / _VALKEY_SOCKET
        command = [str(self._programs["valkey-server"]), "--dir", str(folder), "--unixsocket", str(path)]
        for option, value in _VALKEY.items():
            command += [f"--{option}", value]
        lock = self._claim("valkey", {folder})
        return launch(command, self._account, self.places.log("valkey"), lock, signal.SIGTERM)

    def _start_postgres(self) -> subprocess.Popen[bytes]:
        folder, new = self.places.data / "postgres", self.places.data / "postgres-new"
        lock = self._claim("postgres", {folder, new})
        if not folder.exists():
            self._initialise(new, lock)
            new.rename(folder)
        _check_version(folder)
        # Nobody holds the lock, so no server runs: what these say, perhaps with a reused pid, is of the past.
        (folder / "postmaster.pid").unlink(missing_ok=True)
        server_process.remove_all(self.places.sockets.glob(".s.PGSQL.*"))
        command = [str(self._programs["postgres"]), "-D", str(folder)]
        for option, value in {**_POSTGRES, "unix_socket_directories": str(self.places.sockets)}.items():
            command += ["-c", f"{option}={value}"]
        return launch(command, self._account, self.places.log("postgres"), lock, signal.SIGINT)

    def _initialise(self, folder: Path, lock: int) -> None:
        """Make a database cluster in a folder beside the real one, which it becomes when it is whole."""
        server_process.remove_all([folder])
        self._account.own_folder(folder)
        command = [str(self._programs["initdb"]), "-D", str(folder), *_INITDB]
        log = self.places.log("postgres")
        process = launch(command, self._account, log, lock, signal.SIGKILL, keep_lock=True)
        if process.wait() != 0:
            raise Misconfigured(_why("initdb", log))

    def _claim(self, name: str, folders: Iterable[Path]) -> int:
        server_process.rotate(self.places.log(name))
        return claim(self.places.lock(name), folders, _STOP[name])

    def _await(self, name: str) -> None:
        process, deadline = self._running[name].process, time.monotonic() + _SECONDS
        answers = _postgres_answers if name == "postgres" else _valkey_answers
        while not answers(self.places.sockets):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Misconfigured(_why(name, self.places.log(name)))
            time.sleep(0.02)


def _valkey_answers(folder: Path) -> bool:
    """Whether it serves; while it still loads its data it answers with an error."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(folder / _VALKEY_SOCKET))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _postgres_answers(folder: Path) -> bool:
    import psycopg  # here, so that it is loaded while the server starts

    where = f"host={folder} port={_PORT} user=postgres dbname=postgres connect_timeout=5"
    try:
        with psycopg.connect(where, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'revpipe'").fetchone():
                connection.execute("CREATE DATABASE revpipe")
    except psycopg.OperationalError:
        return False
    return True


def _check_version(folder: Path) -> None:
    try:
        version = (folder / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise Misconfigured(f"{folder} is not a PostgreSQL data folder ({error}). Move it away.") from error
    if version != POSTGRES_MAJOR:
        raise Misconfigured(
            f"{folder} was made by PostgreSQL {version}, not {POSTGRES_MAJOR}. Dump it with that version and"
            " restore it, or set REVPIPE_DATA_DIR to another folder."
        )


def _why(name: str, log: Path) -> str:
    return (
        f"The embedded {name} can't run. Mend what its log says, or set DATABASE_URL and REDIS_URL to servers of"
        f" your own. {log} ends with:\n{tail(log)}"
    )
