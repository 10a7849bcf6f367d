"""A simulation whose length is bounded: for whoever waits for its answer, in a process that has other work."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from revpipe.simulating import ledger, run
from revpipe.simulating.judge import Trial
from revpipe.simulating.ledger import LedgerPast, Period
from revpipe.simulating.run import Simulated

ONE_PROCESS: Final = 1
_EDGE: Final = (
    "SELECT received_at FROM signals WHERE received_at >= :since AND received_at < :until"
    " ORDER BY received_at DESC OFFSET :skip LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Trialled:
    """What came of it: the period that was gone through, and whether it is `cut` short of the one asked for."""

    period: Period
    cut: bool
    found: Simulated
    left_out: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "since": self.period.since,
            "until": self.period.until,
            "cut": self.cut,
            "left_out": self.left_out,
            "unreadable": self.found.unreadable,
            **self.found.sums.as_dict(),
        }


def simulate(services: Services, book: RuleBook, period: Period, most: int) -> Trialled:
    """What a book would have decided on the newest `most` signals of a period. Writes nothing and calls nobody."""
    with ledger.looking(services.engine) as (tx, snapshot):
        short = _shortened(tx, period, most)
        past = LedgerPast(services.settings, short, snapshot).asked_by(book)
        found = run.simulate(past, Trial(book, services.policy), ONE_PROCESS)
        return Trialled(short, short != period, found, ledger.left_out(tx, short))


def _shortened(tx: Connection, period: Period, most: int) -> Period:
    """The part of a period that holds its newest signals; those of one webhook are not torn apart at its edge."""
    newest, beyond = (
        tx.execute(sql(_EDGE), {"since": period.since, "until": period.until, "skip": skip}).scalar()
        for skip in (0, most)
    )
    if beyond is None:
        return period
    return Period(beyond if beyond == newest else beyond + timedelta(microseconds=1), period.until)
