"""The ledger away, cut off or silent: an error in bounded time, and all goes on once it is back."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from revpipe.db import TRUSTED_SECONDS, make_engine, transaction
from revpipe.drill.proxy import Proxy
from revpipe.embedded.client import Lease

HANGS = 20.0
"""Seconds after which a call counts as hanging; the bound under test is one second."""


@pytest.fixture
def link(pair: Lease) -> Iterator[Proxy]:
    """The way to PostgreSQL."""
    folder = Path(str(make_url(pair.database_url).query["host"]))
    with Proxy(folder / ".s.PGSQL.5432") as proxy:
        yield proxy


@pytest.fixture
def engine(pair: Lease, link: Proxy) -> Iterator[Engine]:
    """An engine of one connection that goes through the link and waits a second for an answer."""
    url = make_url(pair.database_url).difference_update_query(["host", "port"]).set(host="127.0.0.1", port=link.port)
    made = make_engine(url.render_as_string(hide_password=False), pool_size=1, answer_seconds=1)
    yield made
    made.dispose()


def ask(engine: Engine) -> int:
    with transaction(engine) as tx:
        return int(tx.execute(text("SELECT 1")).scalar_one())


def failure(engine: Engine) -> BaseException | None:
    """How a question ends, None if it is answered; fails if it does not end."""
    ends: list[BaseException | None] = []

    def run() -> None:
        try:
            ask(engine)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            ends.append(error)
        else:
            ends.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HANGS)
    assert ends, "the question hangs"
    return ends[0]


@pytest.mark.parametrize("mode", ["refuse", "stall"])
def test_a_question_fails_while_the_server_is_away_and_is_answered_afterwards(
    engine: Engine, link: Proxy, mode: str
) -> None:
    assert ask(engine) == 1
    link.set(mode)
    assert isinstance(failure(engine), OperationalError)
    link.set("pass")
    assert failure(engine) is None


@pytest.mark.parametrize(("mode", "idle"), [("cut", 0.1), ("stall-old", TRUSTED_SECONDS)])
def test_a_connection_that_died_unnoticed_is_replaced_without_an_error_to_anyone(
    engine: Engine, link: Proxy, mode: str, idle: float
) -> None:
    """One that was closed shows it at once, one that fell silent when it is asked: not right after its last use."""
    assert ask(engine) == 1
    link.set(mode)
    time.sleep(idle)
    assert failure(engine) is None


def test_a_server_that_falls_silent_in_the_middle_of_a_transaction(engine: Engine, link: Proxy) -> None:
    def work() -> None:
        with transaction(engine) as tx:
            tx.execute(text("SELECT 1"))
            link.set("stall")
            tx.execute(text("SELECT 2"))

    with pytest.raises(OperationalError, match="no answer for 1 s"):
        work()
    link.set("pass")
    assert failure(engine) is None


def test_a_commit_whose_answer_is_lost_raises_though_it_may_have_been_done(
    engine: Engine, link: Proxy, pair: Lease
) -> None:
    """The caller can't tell, so it must read again: that is why every write is found by its key."""
    with transaction(engine) as tx:
        tx.execute(text("CREATE TABLE IF NOT EXISTS kept_or_not (n integer)"))
        tx.execute(text("TRUNCATE kept_or_not"))

    def write() -> None:
        with transaction(engine) as tx:
            tx.execute(text("INSERT INTO kept_or_not VALUES (1)"))
            link.set("stall")

    with pytest.raises(OperationalError):
        write()
    link.set("pass")
    direct = make_engine(pair.database_url, pool_size=1)
    with transaction(direct) as tx:
        assert tx.execute(text("SELECT count(*) FROM kept_or_not")).scalar_one() in (0, 1)
        tx.execute(text("DROP TABLE kept_or_not"))
    direct.dispose()
