"""Months of the trail and of the deliveries: which are over, which may go, and letting them go without a long lock."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from revpipe.db import transaction

log = structlog.get_logger(__name__)

PAUSES: Final = (0.0, 1.0, 5.0)
"""Seconds before each try to drop a month. While it waits for its lock others wait behind it, so it does not wait long;
a partition can't be detached concurrently beside a default one."""
LOCK_WAIT: Final = "1s"
_NAME: Final = re.compile(r"_(\d{4})_(\d{2})$")


@dataclass(frozen=True, slots=True)
class Month:
    """One partition: its table's name, whose month it is, and when that month ends (UTC)."""

    name: str
    table: str
    until: datetime


def over(tx: Connection, table: str, limit: datetime) -> list[Month]:
    """The months of a table that had ended at `limit`, the oldest in front."""
    names = tx.execute(
        text(
            "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid"
            " WHERE inhparent = CAST(:table AS regclass) ORDER BY 1"
        ),
        {"table": table},
    ).scalars()
    return [month for month in _months(table, names) if month.until <= limit]


def _months(table: str, names: Iterable[str]) -> Iterator[Month]:
    for name in names:
        found = _NAME.search(name)
        if found:
            index = int(found[1]) * 12 + int(found[2])
            yield Month(name, table, datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC))


def told_of(tx: Connection, month: Month) -> bool:
    """Whether a signal is still there that came in before the month's end: of the trail, its month must stay then."""
    question = text("SELECT 1 FROM signals WHERE received_at < :until LIMIT 1")
    return tx.execute(question, {"until": month.until}).first() is not None


def drop(engine: Engine, month: Month, record: Callable[[Connection], object]) -> bool:
    """Let a month go; False if its table was in use at every try, which a later run makes good.

    `record` says so in the same transaction: a month that is gone without it was not let go by us.
    """
    for pause in PAUSES:
        time.sleep(pause)
        try:
            with transaction(engine) as tx:
                tx.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'"))
                tx.execute(text(f'DROP TABLE IF EXISTS "{month.name}"'))
                record(tx)
        except OperationalError as error:
            log.warning("month_in_use", month=month.name, error=type(error.orig).__name__)
        else:
            return True
    return False
