"""What everything in the benchmark stands on: one PostgreSQL and one Valkey, as durable as in production."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
import redis

from revpipe.embedded import client as embedded
from tests.benchmarks.processes import BenchError, tree_cpu

DURABLE: Final = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Ground:
    """A folder of its own and the servers in it. The product has database 0 of Valkey, peers have others."""

    folder: Path
    lease: embedded.Lease

    @property
    def postgres(self) -> str:
        """The product's database, as psycopg names it."""
        return self.lease.database_url.replace("+psycopg", "")

    def database(self, name: str) -> str:
        """A further database of the same server, made if it is not there."""
        with psycopg.connect(self.postgres, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(f"CREATE DATABASE {name}".encode())
        return self.postgres.replace("/revpipe?", f"/{name}?")

    def broker(self, number: int) -> str:
        """A database of the same Valkey, as Celery names it."""
        return self.lease.broker_url.replace("virtual_host=0", f"virtual_host={number}")

    def redis(self, number: int) -> str:
        """The same, as redis-py names it."""
        return self.lease.redis_url.replace("db=0", f"db={number}")

    def wal_bytes(self) -> int:
        """How much PostgreSQL has written to its write-ahead log since it was made."""
        with psycopg.connect(self.postgres) as connection:
            found = connection.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
        return int(found[0]) if found else 0

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time that the two servers have used so far."""
        postmaster = (self.folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0]
        with redis.Redis.from_url(self.lease.redis_url) as client:
            used = client.info("cpu")
        valkey = float(used["used_cpu_user"]) + float(used["used_cpu_sys"])
        return {"postgres": tree_cpu(int(postmaster)), "valkey": valkey}


@contextmanager
def prepared() -> Iterator[Ground]:
    """The servers, for the length of a block. Raises BenchError if they would forget what they have confirmed."""
    folder = Path(tempfile.mkdtemp(prefix="rpbench-"))
    try:
        with embedded.Lease(folder / "data") as lease:
            refuse_unless_durable(lease.database_url.replace("+psycopg", ""))
            yield Ground(folder, lease)
    finally:
        embedded.wait_stopped(folder / "data")
        time.sleep(0.1)  # The supervisor removes its sockets last.
        shutil.rmtree(folder, ignore_errors=True)


def refuse_unless_durable(url: str) -> None:
    """Raise BenchError unless PostgreSQL writes to disk before it confirms: all else would be a faster lie."""
    with psycopg.connect(url) as connection:
        values = {name: (connection.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0] for name in DURABLE}
    wrong = [f"{name} is {value}" for name, value in values.items() if value != "on"]
    if wrong:
        raise BenchError(f"the database is not durable, so nothing is measured: {', '.join(wrong)}; set each to on")
