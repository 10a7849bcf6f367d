"""PostgreSQL and Valkey that listen on an address, for machines that can't reach a socket of the file system."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import redis

from revpipe.embedded import process as server_process
from revpipe.embedded.account import server_account
from tests.e2e.processes import until

_POSTGRES_PORT: Final = 5432
_VALKEY_PORT: Final = 6379
_STOP: Final = ((0.0, signal.SIGINT), (10.0, signal.SIGKILL))


@dataclass(frozen=True)
class TcpServers:
    """Where both listen: an address that only the test's own machines can reach, for they ask nobody who he is."""

    address: str

    @property
    def database_url(self) -> str:
        """As the product names it."""
        return f"postgresql+psycopg://postgres@{self.address}:{_POSTGRES_PORT}/revpipe"

    @property
    def urls(self) -> dict[str, str]:
        """The settings that lead a process there."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": f"redis://{self.address}:{_VALKEY_PORT}/0"}


@contextmanager
def running(folder: Path, address: str, subnet: str) -> Iterator[TcpServers]:
    """Both servers for the length of a block, on an address of the namespace that the caller is in."""
    programs, account = server_process.programs(), server_account()
    account.let_through(folder, *programs.values())
    data, lists = folder / "postgres", folder / "valkey"
    for one in (data, lists):
        account.own_folder(one)
    initdb = [str(programs["initdb"]), "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    with _server([*initdb, "--locale=C", "--no-instructions"], folder / "initdb.log") as made:
        assert made.wait(60) == 0, (folder / "initdb.log").read_text()
    with (data / "pg_hba.conf").open("a") as allowed:
        allowed.write(f"host all all {subnet} trust\n")
    postgres = [str(programs["postgres"]), "-D", str(data), "-c", f"listen_addresses={address}", "-c"]
    postgres += [f"port={_POSTGRES_PORT}", "-c", "unix_socket_directories="]
    valkey = [str(programs["valkey-server"]), "--dir", str(lists), "--bind", address, "--port", str(_VALKEY_PORT)]
    valkey += ["--protected-mode", "no", "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    with ExitStack() as stack:
        stack.enter_context(_server(postgres, folder / "postgres.log"))
        stack.enter_context(_server(valkey, folder / "valkey.log"))
        servers = TcpServers(address)
        until(lambda: _answer(servers), f"both servers; see {folder}", 60)
        yield servers


@contextmanager
def _server(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A server that ends with the block, and with this process if that is killed."""
    # Nobody else has this folder, so the lock is only what `launch` wants to close.
    lock = os.open(os.devnull, os.O_RDONLY)
    started = server_process.launch(command, server_account(), log, lock, signal.SIGKILL)
    try:
        yield started
    finally:
        started.send_signal(_STOP[0][1])
        server_process.see_off(started, _STOP)


def _answer(servers: TcpServers) -> bool:
    url = servers.database_url.replace("+psycopg", "")
    try:
        with redis.Redis(servers.address, _VALKEY_PORT, socket_timeout=2) as client:
            client.ping()
        with psycopg.connect(url.replace("/revpipe", "/postgres"), autocommit=True, connect_timeout=2) as connection:
            connection.execute("CREATE DATABASE revpipe")
    except (redis.RedisError, psycopg.OperationalError):
        time.sleep(0.05)
        return False
    return True
