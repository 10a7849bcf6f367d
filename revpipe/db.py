"""The ledger's engine and transactions."""

import json
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import orjson
import psycopg
from sqlalchemy import Connection, DateTime, Engine, MetaData, TextClause, create_engine, event, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import DeclarativeBase

from revpipe.clock import LedgerClock
from revpipe.db_connection import ANSWER_SECONDS, BoundedConnection

T = TypeVar("T")
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
CONNECT_SECONDS = 5
TRUSTED_SECONDS = 2.0
"""How long after its last use a connection is believed to be still good."""
DEADLOCKS = 5
"""How often in a row a transaction may be the victim of one before it is an error."""
_USED_AT = "revpipe_used_at"
OPTIONS = "-c timezone=UTC -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s"
"""No statement and no idle transaction of a frozen worker may hold its locks without end."""


class Base(DeclarativeBase):
    """The base of all tables; every time is `timestamptz`, every payload `jsonb`."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB, list[Any]: JSONB}  # noqa: RUF012


def make_engine(
    url: str,
    *,
    pool_size: int = 5,
    prepared: bool = True,
    answer_seconds: float = ANSWER_SECONDS,
    clock: LedgerClock | None = None,
) -> Engine:
    """An engine for the ledger at `url`. Opens no connection yet.

    Sessions hold no state that a transaction pooler would lose. Behind such a pooler `prepared` is off, and the
    time limits of the sessions are the pooler's to set. No answer is waited for longer than `answer_seconds`.
    `clock` is told the server's time.
    """
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        # An error quotes its statement; the values in it are customer data, and errors are logged and reported.
        hide_parameters=True,
        pool_recycle=300,
        json_serializer=to_json,
        json_deserializer=orjson.loads,
        connect_args={
            **({"options": OPTIONS, "prepare_threshold": 5} if prepared else {"prepare_threshold": None}),
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> BoundedConnection:
        made = BoundedConnection.connect(*arguments, **options)
        made.answer_seconds = answer_seconds
        _ask_time(made, clock)
        return made

    @event.listens_for(engine, "checkin")
    def note(_connection: Any, record: Any) -> None:
        record.info[_USED_AT] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, _proxy: Any) -> None:
        # A question before every transaction would cost a round trip each: what was in use just now is asked only if
        # it has something to say for itself, which between transactions is that it was closed.
        trusted = time.monotonic() - record.info.get(_USED_AT, 0.0) < TRUSTED_SECONDS and not _speaks(connection)
        if not trusted and not _answers(connection, clock):
            raise DisconnectionError

    return engine


def _speaks(connection: Any) -> bool:
    try:
        poll = select.poll()
        poll.register(connection.pgconn.socket, select.POLLIN | select.POLLERR | select.POLLHUP)
        return bool(poll.poll(0))
    except psycopg.Error:
        return True


def _answers(connection: Any, clock: LedgerClock | None) -> bool:
    try:
        _ask_time(connection, clock)
    except psycopg.Error:
        return False
    return True


def _ask_time(connection: BoundedConnection, clock: LedgerClock | None) -> None:
    asked_at = time.monotonic()
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    connection.rollback()
    if clock and row:
        clock.hear(row[0], asked_at, time.monotonic())


@cache
def sql(statement: str) -> TextClause:
    """A statement of ours, read once and not each time that it is run."""
    return text(statement)


@contextmanager
def transaction(engine: Engine, *, durable: bool = True) -> Iterator[Connection]:
    """One transaction: committed at the end of the block, rolled back if it raises.

    One that is not `durable` does not wait for the disk. Should the database server itself crash, its last half
    second may be forgotten, as a whole and with nothing later kept: for what is then simply done again, and for what
    counts only once a durable one has followed (docs/decisions/016-commits-that-do-not-wait.md).
    """
    with engine.begin() as connection:
        if not durable:
            connection.execute(sql("SET LOCAL synchronous_commit = off"))
        yield connection


def server_time(tx: Connection) -> datetime:
    """The time at the database server, aware."""
    now: datetime = tx.execute(sql("SELECT clock_timestamp()")).scalar_one()
    return now


def unless_deadlocked(engine: Engine, do: Callable[[Connection], T]) -> T:
    """Do something in one transaction, and anew if PostgreSQL ended it to free others from a deadlock."""
    for _ in range(DEADLOCKS - 1):
        try:
            with transaction(engine) as tx:
                return do(tx)
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.DeadlockDetected):
                raise
    with transaction(engine) as tx:
        return do(tx)


def to_json(value: Any) -> str:
    """`value` as JSON text: ids and times in their usual form, anything else as Python writes it."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return json.dumps(value, default=str)
