"""The ledger that tests use one after the other, and the engines over it.

To begin with an empty ledger and to connect to it cost most tests more than what they then do. So it is emptied by one
question, and connections stay open from test to test.
"""

import time
from contextlib import ExitStack
from typing import Final

from sqlalchemy import Engine

from revpipe.db import Base, make_engine, transaction

POOL_SIZE: Final = 12
SPARE: Final = 2
"""So many engines are kept; nearly all tests use one, and the server has a hundred connections for everybody."""
_TABLES: Final = ", ".join(f"'{name}'" for name in Base.metadata.tables)
# What never held a row has a file without a page. Replication is the one way by which a superuser may empty the trail.
_EMPTY: Final = f"""\
DO $$
DECLARE
    filled regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR filled IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0
        AND coalesce(pg_partition_root(oid), oid)::regclass::text IN ({_TABLES})
    LOOP
        EXECUTE 'DELETE FROM ' || filled;
    END LOOP;
END $$"""


class SharedLedger:
    """A migrated database, and engines over it of which each is lent to one test at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._own = make_engine(url, pool_size=1)
        self._spare: list[Engine] = []

    def empty(self) -> None:
        """Leave no row in any table of the product."""
        with transaction(self._own) as tx:
            tx.exec_driver_sql(_EMPTY)

    def lend(self) -> Engine:
        """An engine that nobody else has."""
        return self._spare.pop() if self._spare else make_engine(self.url, pool_size=POOL_SIZE)

    def take_back(self, engine: Engine) -> None:
        """Keep it for the next test, or close it if there are enough or somebody is still at work with it."""
        if _at_rest(engine) and len(self._spare) < SPARE:
            _forget_plans(engine)
            self._spare.append(engine)
        else:
            engine.dispose()

    def disconnect(self) -> None:
        """Close every connection that no test has."""
        for engine in (self._own, *self._spare):
            engine.dispose()


def _at_rest(engine: Engine, seconds: float = 10.0) -> bool:
    """Whether all connections come back in that time.

    A thread of the product may be in the middle of a transaction, and what it gives back to a pool that was disposed of
    is closed by nobody.
    """
    deadline = time.monotonic() + seconds
    while engine.pool.checkedout():  # type: ignore[attr-defined]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _forget_plans(engine: Engine) -> None:
    """Plans that were made for the rows of one test would be bad ones for those of the next."""
    with ExitStack() as held:
        idle = [held.enter_context(engine.connect()) for _ in range(engine.pool.checkedin())]  # type: ignore[attr-defined]
        for connection in idle:
            connection.exec_driver_sql("DISCARD PLANS")
