"""A ledger made once in a run of the tests and copied for whoever needs an empty one in a data folder of its own.

initdb and the migrations take a processor three seconds, the copy a tenth of one. The copy is what `revpipe migrate`
leaves in a folder whose servers were stopped; a first start in earnest is in test_embedded.py and test_up.py.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine, text

from revpipe import migrate
from revpipe.db import make_engine
from revpipe.embedded.client import servers, wait_stopped

_CLUSTER: Final = "postgres"
"""What a data folder calls its PostgreSQL; nothing else in it is worth a copy."""
_UNUSED: Final = ("template0", "template1")
"""Databases of which others are made, a third of the bytes: in such a folder nobody makes any."""
_COPY: Final = ("-a", "--sparse=always") if sys.platform == "linux" else ("-a",)
"""Owners and all, but for the zeros that fill the log up to its 16 MB."""


@dataclass(frozen=True)
class PreparedLedger:
    """The one of a run."""

    folder: Path

    def plant(self, data: Path) -> Path:
        """Make a data folder with an empty ledger in it, for servers that have not been started there."""
        data.mkdir(mode=0o700, parents=True)
        subprocess.run(["cp", *_COPY, str(self.folder / _CLUSTER), str(data)], check=True)
        return data


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedLedger]:
    """The ledger of this run, which all its processes share."""
    own = tmp_path_factory.getbasetemp()
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with prepared(run / "prepared-ledger") as made:
        yield made


@contextmanager
def prepared(place: Path) -> Iterator[PreparedLedger]:
    """The ledger that all processes of a run share in the folder `place`; the last one removes it."""
    place.mkdir(mode=0o700, exist_ok=True)
    kept = place / "kept"
    with (place / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        # Who uses it holds a share to the end: alone one may only want to be while there is nothing to use. To turn a
        # lock into a share is to let go of it for a moment, in which another process may have been the last.
        while not kept.exists():
            fcntl.flock(lock, fcntl.LOCK_UN)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                _make(kept)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield PreparedLedger(kept)
        # First let go of the own share, or two that end at once would both find the other one's.
        fcntl.flock(lock, fcntl.LOCK_UN)
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(kept, ignore_errors=True)


def _make(kept: Path) -> None:
    # Not below pytest's folder: it is shut to the user that root's servers run as.
    folder = Path(tempfile.mkdtemp(prefix="rp-prepared-"))
    with servers(folder / "data") as lease:
        engine = make_engine(lease.database_url)
        migrate.upgrade(engine)
        log = _tidied(engine)
        engine.dispose()
    if not wait_stopped(folder / "data"):
        raise RuntimeError(f"the servers in {folder} did not stop")
    for one in (folder / "data" / _CLUSTER / "pg_wal").glob("0*"):
        if one.name != log:
            one.unlink()
    # Not shutil.move, which between two file systems makes all of it our own.
    subprocess.run(["mv", str(folder / "data"), str(kept)], check=True)
    shutil.rmtree(folder)


def _tidied(engine: Engine) -> str:
    """Leave little to copy, and name the one file of the log that servers which stop now will need."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in _UNUSED:
            connection.execute(text(f"ALTER DATABASE {name} IS_TEMPLATE false"))
            connection.execute(text(f"DROP DATABASE {name}"))
        # What a crash of the machine would lose is nothing to a test.
        connection.execute(text("ALTER SYSTEM SET fsync = off"))
        connection.execute(text("SELECT pg_switch_wal()"))
        connection.execute(text("CHECKPOINT"))
        return str(connection.execute(text("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")).scalar_one())
