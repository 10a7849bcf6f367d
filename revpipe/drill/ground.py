"""What a rehearsal stands on: a data folder of its own, with servers that may be killed and restarted."""

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis
from sqlalchemy import Engine

from revpipe import migrate
from revpipe.db import make_engine
from revpipe.embedded import client as embedded
from revpipe.embedded import process as server_process
from revpipe.errors import Misconfigured

STOP_SECONDS = 30.0


@dataclass(slots=True)
class Ground:
    """The rehearsal's folder, and the embedded PostgreSQL and Valkey in it. Nothing else of the user's is touched."""

    folder: Path
    lease: embedded.Lease
    engine: Engine
    broker: redis.Redis

    @property
    def valkey_socket(self) -> Path:
        """Where Valkey listens."""
        return Path(urlsplit(self.lease.redis_url).path)

    def flush(self) -> None:
        """Let the broker lose everything. Raises redis.RedisError."""
        self.broker.flushall()

    def deliver_again(self) -> None:
        """Put every message that is in work back into its queue, as the transport does when it takes too long.

        Raises redis.RedisError.
        """
        for raw in self.broker.hvals("unacked"):
            message, _, queue = json.loads(raw)
            self.broker.lpush(queue, json.dumps(message))

    def restart_broker(self) -> None:
        """SIGKILL Valkey; its supervisor starts it again, without what it had not yet written."""
        with contextlib.suppress(redis.RedisError):
            facts = self.broker.info("server")
            os.kill(int(facts["process_id"]), signal.SIGKILL)

    def restart_database(self, *, gentle: bool) -> None:
        """End PostgreSQL in mid-work, as a restart does or (not `gentle`) as a crash; it is started again."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT if gentle else signal.SIGQUIT)


@contextmanager
def prepared(keep: Path | None = None) -> Iterator[Ground]:
    """A migrated, empty ledger in a temporary folder (`keep` names one that is to stay) for the length of a block.

    Raises Misconfigured if there is something in that folder already: what it holds would be counted too.
    """
    if keep and keep.exists() and any(keep.iterdir()):
        raise Misconfigured(f"{keep} is not empty; name a folder that is, or that is not there yet, with --keep")
    folder = keep or Path(tempfile.mkdtemp(prefix="revpipe-drill-"))
    try:
        with embedded.Lease(folder) as lease:
            engine = make_engine(lease.database_url, pool_size=2)
            broker = redis.Redis.from_url(lease.redis_url, socket_timeout=3, decode_responses=True)
            migrate.upgrade(engine)
            try:
                yield Ground(folder, lease, engine, broker)
            finally:
                broker.close()
                engine.dispose()
    finally:
        if not embedded.wait_stopped(folder, STOP_SECONDS):
            raise Misconfigured(f"the rehearsal's servers in {folder} do not stop; see the logs there")
        if keep is None:
            time.sleep(0.1)  # The supervisor removes its sockets last.
            server_process.remove_all([folder])
