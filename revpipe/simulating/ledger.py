"""The ledger as a past to simulate: read in transactions that can't write, a few hundred signals at a time."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, text

from config.settings import Settings
from revpipe import cases, contexts, schemas
from revpipe.balance import snapshot
from revpipe.cases import Case, Change
from revpipe.db import make_engine, sql
from revpipe.errors import RevpipeError
from revpipe.models.action import OPEN
from revpipe.plan_history import LOOK_BACK, TWIN
from revpipe.rules.book import RuleBook
from revpipe.signals import Signal
from revpipe.simulating.past import Batch, Past, Share
from revpipe.simulating.timeline import Course, really

BATCH: Final = 500
"""Signals whose contexts are in memory at a time: a context has a few KB."""
_SNAPSHOT: Final = re.compile(r"[0-9A-F-]{1,60}")
# Which signals, in which order: narrow rows, so that sorting a month of them stays in memory.
_ORDER: Final = (
    "SELECT s.signal_id, c.subject, coalesce(p.created_at, c.created_at) AS at"
    " FROM signals AS s JOIN contexts AS c USING (signal_id) LEFT JOIN plans AS p USING (signal_id)"
    " WHERE s.received_at >= :since AND s.received_at < :until AND s.disposition IS DISTINCT FROM 'coalesced'"
    " AND (hashtext(c.subject) & 2147483647) % :of = :number"
    " ORDER BY at, s.fired_at, s.signal_id"
)
_SIGNALS: Final = (
    f"SELECT {', '.join('s.' + one.name for one in fields(Signal))}, s.priority, c.parts,"  # noqa: S608 - names of ours
    " c.schema_version AS context_version FROM signals AS s JOIN contexts AS c USING (signal_id)"
    " WHERE s.signal_id = ANY(:ids)"
)
_REAL: Final = (
    "SELECT action_id, signal_id, rule_id, type, state, created_at, done_at FROM actions"
    " WHERE signal_id = ANY(:ids) AND suppressed_by IS NULL"
)
# Of signals from before the period: what was open when it began, or young enough to count for a cooldown in it.
_BEFORE: Final = (
    "SELECT a.action_id, a.signal_id, a.rule_id, a.type, a.state, a.reason, a.suppressed_by, a.subject, a.created_at,"
    " a.done_at FROM actions AS a JOIN signals AS s USING (signal_id)"
    " WHERE a.subject = ANY(:subjects) AND s.received_at < :since AND (a.suppressed_by IS NULL OR a.reason = :twin)"
    " AND (a.created_at > :young OR a.state = ANY(:open) OR a.done_at >= :since)"
    " ORDER BY a.created_at"
)
_COUNTS: Final = (
    "SELECT asked.signal_id, count(*) AS found"
    " FROM unnest(CAST(:ids AS uuid[]), CAST(:deals AS text[]), CAST(:ats AS timestamptz[]))"
    " AS asked(signal_id, deal, at)"
    " JOIN signals AS s ON s.deal_id = asked.deal AND s.fired_at > asked.at - interval '7 days'"
    " AND s.received_at <= asked.at GROUP BY asked.signal_id"
)
_LEFT_OUT: Final = (
    "SELECT CASE WHEN s.disposition IN ('coalesced', 'suppressed', 'dead_lettered') THEN s.disposition"
    " ELSE 'not enriched yet' END AS why, count(*) AS found"
    " FROM signals AS s LEFT JOIN contexts AS c USING (signal_id)"
    " WHERE s.received_at >= :since AND s.received_at < :until"
    " AND (c.signal_id IS NULL OR s.disposition = 'coalesced') GROUP BY why ORDER BY why"
)


@dataclass(frozen=True, slots=True)
class Period:
    """Signals received from `since` on and before `until`."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class LedgerPast:
    """The signals of a period, all as one instant of the ledger shows them; see `looking`.

    `counts_signals`: whether a rule asks how many signals a deal had, which costs a question for each batch. `cooldown`
    is the longest of any rule: what was done before the period counts as far back.
    """

    settings: Settings
    period: Period
    snapshot: str
    counts_signals: bool = False
    cooldown: timedelta = LOOK_BACK

    def asked_by(self, *books: RuleBook) -> "LedgerPast":
        """The same signals, with all that these books look at."""
        counts = any("signals_7d" in book.source for book in books)
        return replace(self, counts_signals=counts, cooldown=max(book.longest_cooldown for book in books))

    def batches(self, share: Share) -> Iterator[Batch]:
        """The signals of a share, in the order in which they were decided; over a connection of its own."""
        settings = self.settings
        engine = make_engine(str(settings.database_url), pool_size=1, prepared=settings.database_prepared)
        met: set[str] = set()
        try:
            with snapshot(engine) as tx:
                tx.execute(text(f"SET TRANSACTION SNAPSHOT '{self.snapshot}'"))
                wanted = {
                    "since": self.period.since,
                    "until": self.period.until,
                    "of": share.of,
                    "number": share.number,
                }
                order = tx.execute(sql(_ORDER), wanted, execution_options={"yield_per": BATCH})
                for rows in order.partitions(BATCH):
                    yield self._batch(tx, rows, met)
        finally:
            engine.dispose()

    def _batch(self, tx: Connection, rows: Sequence[Any], met: set[str]) -> Batch:
        ids = [row.signal_id for row in rows]
        found = {row["signal_id"]: dict(row) for row in tx.execute(sql(_SIGNALS), {"ids": ids}).mappings()}
        real: dict[uuid.UUID, dict[uuid.UUID, Mapping[str, Any]]] = {}
        for action in tx.execute(sql(_REAL), {"ids": ids}).mappings():
            real.setdefault(action["signal_id"], {})[action["action_id"]] = dict(action)
        counts = self._counts(tx, rows) if self.counts_signals else {}
        carried = cases.carried(tx, ids)
        pasts = []
        for row in rows:
            case = _case(found[row.signal_id], row.subject, carried.get(row.signal_id, ()))
            if case:
                pasts.append(Past(case, row.at, counts.get(row.signal_id, 0), real.get(row.signal_id, {})))
        before = self._before(tx, {row.subject for row in rows} - met)
        met |= {row.subject for row in rows}
        return Batch(pasts, before, len(rows) - len(pasts))

    def _before(self, tx: Connection, subjects: set[str]) -> dict[str, list[Course]]:
        since = self.period.since
        wanted = {"subjects": sorted(subjects), "since": since, "open": list(OPEN), "twin": TWIN}
        wanted["young"] = since - max(LOOK_BACK, self.cooldown)
        found: dict[str, list[Course]] = {}
        for action in tx.execute(sql(_BEFORE), wanted).mappings():
            found.setdefault(action["subject"], []).append(really(dict(action)))
        return found

    def _counts(self, tx: Connection, rows: Sequence[Any]) -> dict[uuid.UUID, int]:
        deals = [row for row in rows if row.subject.startswith("deal:")]
        asked = {
            "ids": [row.signal_id for row in deals],
            "deals": [row.subject.removeprefix("deal:") for row in deals],
            "ats": [row.at for row in deals],
        }
        return {row.signal_id: row.found for row in tx.execute(sql(_COUNTS), asked)}


@contextmanager
def looking(engine: Engine) -> Iterator[tuple[Connection, str]]:
    """A transaction that can't write, and the name by which others see the same instant as long as it lasts."""
    with snapshot(engine) as tx:
        # Others work meanwhile, and this one waits for them.
        tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        name: str = tx.execute(text("SELECT pg_export_snapshot()")).scalar_one()
        if not _SNAPSHOT.fullmatch(name):
            raise RevpipeError(f"PostgreSQL named a snapshot {name!r}, which can't be quoted")
        yield tx, name


def count(tx: Connection, period: Period) -> int:
    """How many signals were received in a period."""
    wanted = {"since": period.since, "until": period.until}
    found = tx.execute(sql("SELECT count(*) FROM signals WHERE received_at >= :since AND received_at < :until"), wanted)
    return int(found.scalar_one())


def left_out(tx: Connection, period: Period) -> dict[str, int]:
    """How many signals of a period rules never saw, by why: how they ended, or that they have no context yet."""
    return {row.why: row.found for row in tx.execute(sql(_LEFT_OUT), {"since": period.since, "until": period.until})}


def _case(row: Mapping[str, Any], subject: str, carries: Sequence[Change]) -> Case | None:
    """What the stage was given; None if this release can't read it."""
    try:
        signal = schemas.stored_signal(row)
        parts = contexts.load(row["parts"], row["context_version"])
    except RevpipeError:
        return None
    known = {"signal_id": signal.signal_id, "priority": row["priority"], "replays": 0}
    return Case(known, signal, parts, subject, carries=tuple(carries))
