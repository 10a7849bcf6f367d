"""Callers that come together share one piece of work, and none suffers for another."""

from collections.abc import Sequence
from threading import Barrier, Event, Thread

import pytest

from revpipe.gathering import Gathering

CALLERS = 20
SECONDS = 10


class Away(Exception):
    """What is nobody's fault."""


class Bench:
    """Work whose first round waits until `go` is set, so that the callers behind it pile up."""

    def __init__(self, at_once: int = 64) -> None:
        self.rounds: list[list[int]] = []
        self.begun, self.go = Event(), Event()
        self.gathering = Gathering(self._work, nobodys=(Away,), at_once=at_once)
        self.answers: dict[int, object] = {}

    def _work(self, items: Sequence[int]) -> list[str]:
        self.rounds.append(list(items))
        self.begun.set()
        assert self.go.wait(SECONDS)
        if -1 in items:
            raise ValueError("minus one")
        if -2 in items:
            raise Away("gone")
        return [f"done {item}" for item in items]

    def _call(self, item: int) -> None:
        try:
            self.answers[item] = self.gathering(item)
        except (ValueError, Away) as error:
            self.answers[item] = error

    def run(self, *items: int) -> None:
        """The first item is in work while the others come."""
        threads = [Thread(target=self._call, args=(item,)) for item in items]
        threads[0].start()
        assert self.begun.wait(SECONDS)
        for thread in threads[1:]:
            thread.start()
        # The only way to see that they wait: all are in the list behind the first.
        while len(self.gathering._waiting) < len(items) - 1:
            pass
        self.go.set()
        for thread in threads:
            thread.join(SECONDS)


def test_who_comes_while_work_is_done_shares_the_next_round() -> None:
    bench = Bench()
    bench.run(*range(CALLERS))
    assert [len(one) for one in bench.rounds] == [1, CALLERS - 1]
    assert bench.answers == {item: f"done {item}" for item in range(CALLERS)}


def test_a_round_has_its_bound() -> None:
    bench = Bench(at_once=8)
    bench.run(*range(CALLERS))
    assert [len(one) for one in bench.rounds] == [1, 8, 8, 3]
    assert len(bench.answers) == CALLERS


def test_one_that_fails_does_not_harm_the_others() -> None:
    bench = Bench()
    bench.run(0, 1, -1, 2)
    assert {item: bench.answers[item] for item in (0, 1, 2)} == {0: "done 0", 1: "done 1", 2: "done 2"}
    assert isinstance(bench.answers[-1], ValueError)


def test_what_is_nobodys_fault_ends_the_round_for_all_at_once() -> None:
    bench = Bench()
    bench.run(0, 1, -2, 2)
    assert len(bench.rounds) == 2
    assert [type(bench.answers[item]) for item in (1, -2, 2)] == [Away] * 3


def test_alone_an_error_is_the_callers_and_the_next_call_is_served() -> None:
    bench = Bench()
    bench.go.set()
    with pytest.raises(ValueError, match="minus one"):
        bench.gathering(-1)
    assert bench.gathering(3) == "done 3"


def test_everybody_is_served_however_they_come() -> None:
    start, calls = Barrier(CALLERS), 50
    gathering = Gathering(lambda items: [item * 2 for item in items], at_once=3)
    wrong: list[int] = []

    def caller(number: int) -> None:
        start.wait(SECONDS)
        for call in range(calls):
            item = number * calls + call
            if gathering(item) != item * 2:
                wrong.append(item)

    threads = [Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert wrong == []
