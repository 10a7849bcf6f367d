"""Two transactions that wait for each other: the one that PostgreSQL ends is done again."""

from threading import Barrier

from sqlalchemy import Connection, text

from revpipe.db import unless_deadlocked
from revpipe.services import Services
from tests.integration.ledger_fixtures import at_once, call, put, rows, signal_id


def test_both_of_two_that_lock_crosswise_are_done_once(services: Services) -> None:
    put(services, call("a"), call("b"))
    both_hold_one = Barrier(2)
    tries: list[int] = []

    def cross(number: int) -> None:
        names = ("a", "b") if number == 0 else ("b", "a")

        def do(tx: Connection) -> None:
            tries.append(number)
            for at, name in enumerate(names):
                change = text("UPDATE signals SET replays = replays + 1 WHERE signal_id = :id")
                tx.execute(change, {"id": signal_id(name)})
                if at == 0 and tries.count(number) == 1:
                    both_hold_one.wait(20)

        unless_deadlocked(services.engine, do)

    at_once(2, cross)
    assert [row["replays"] for row in rows(services, "SELECT replays FROM signals")] == [2, 2]
    assert len(tries) > 2, "nobody had to give way"
