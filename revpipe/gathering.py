"""Many callers, one piece of work: who calls while it is being done shares the next round of it."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE: Final = 64


class _Ticket(Generic[T, R]):
    """One call: what it brings, and what comes of it."""

    __slots__ = ("error", "item", "result")

    def __init__(self, item: T) -> None:
        self.item = item
        self.result: list[R] = []
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return bool(self.result) or self.error is not None


class Gathering(Generic[T, R]):
    """Calls `work` with all that came together, at most `at_once`, and gives each caller its own result.

    A call that finds nobody at work is alone and waits for nobody, so company costs no time. `work` is given items
    in the order in which they came and returns one result for each. If it raises one of `nobodys`, that is the end
    for all of them; if it raises anything else, each item is tried alone, so that none suffers for another.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Sequence[R]],
        nobodys: tuple[type[Exception], ...] = (),
        at_once: int = AT_ONCE,
    ) -> None:
        self._work = work
        self._nobodys = nobodys
        self._at_once = at_once
        self._working = Lock()
        self._joining = Lock()
        self._waiting: list[_Ticket[T, R]] = []

    def __call__(self, item: T) -> R:
        """The result for `item`; raises what `work` raised for it."""
        ticket = _Ticket[T, R](item)
        with self._joining:
            self._waiting.append(ticket)
        # Whoever gets in does the work of all that wait; who finds its own done meanwhile goes out again.
        while not ticket.done:
            with self._working:
                if not ticket.done:
                    self._round()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result[0]

    def _round(self) -> None:
        with self._joining:
            tickets, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
        if not self._together(tickets):
            for ticket in tickets:
                self._together([ticket])

    def _together(self, tickets: list[_Ticket[T, R]]) -> bool:
        """Whether the work came to an end that stands: for one ticket, any does."""
        try:
            results = self._work([ticket.item for ticket in tickets])
        except Exception as error:  # noqa: BLE001 - it is raised where the calls were made
            if len(tickets) > 1 and not isinstance(error, self._nobodys):
                return False
            for ticket in tickets:
                ticket.error = error
        else:
            for ticket, result in zip(tickets, results, strict=True):
                ticket.result.append(result)
        return True
