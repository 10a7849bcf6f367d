"""Twenty edits of one deal in a minute make a few decisions: which signals wait, and which are carried by another.

The first signal of a quiet subject is decided at once. What follows within its quiet period waits in the ledger until
that is over, and is then decided as one: the newest survives and carries the others. Why so: docs/decisions/020.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection

from config.queues import QUARANTINE, is_quarantine
from revpipe import bulk, cases, contexts, dispositions, stage, trail
from revpipe.cases import Case, Change
from revpipe.context_needs import ContextNeeds
from revpipe.db import sql
from revpipe.plan_history import Known
from revpipe.rules.book import higher
from revpipe.work import Claim

AT_ONCE: Final = 1000
"""How many waiting signals of a subject one decision takes along at the most; the others come due by themselves."""
REASON: Final = "quiet_period"
LEAVES: Final = "-"
"""The priority of a chain that there is not: a row that this worker did not bring can't go on in its chain."""

Waiting = tuple[Mapping[str, Any], Change]
"""A signal that waits in the ledger: its row, and what it would add to a decision."""


@dataclass(slots=True)
class Sorted:
    """A chunk's cases: those to decide now, those that wait until a time, and rows carried by another signal."""

    now: list[Case] = field(default_factory=list)
    later: list[tuple[Case, datetime]] = field(default_factory=list)
    into: list[tuple[Mapping[str, Any], uuid.UUID]] = field(default_factory=list)
    quiet: set[str] = field(default_factory=set)
    """Subjects whose quiet period begins with this decision."""


def sort(
    tx: Connection, found: Sequence[Case], known: Mapping[str, Known], needs: ContextNeeds, now: datetime
) -> Sorted:
    """Say of each case what becomes of it. The caller holds the locks of their subjects, and their rows."""
    done = Sorted()
    groups: dict[str, list[tuple[Case, timedelta]]] = {}
    for case in found:
        quiet = needs.of(case.signal).quiet
        if not quiet or case.subject.startswith("signal:"):
            done.now.append(case)
            continue
        if _alone(case.row):
            done.now.append(case)
            done.quiet.add(case.subject)
        else:
            groups.setdefault(case.subject, []).append((case, timedelta(0) if _immediate(case) else quiet))
    due = {subject for subject, members in groups.items() if _due(members, known[subject].decided_at, now)}
    waiting = _waiting(tx, [one for one in due if known[one].others_wait], found)
    for subject, members in groups.items():
        if subject in due:
            _merge(tx, done, [case for case, _ in members], waiting.get(subject, ()))
            done.quiet.add(subject)
        else:
            began = known[subject].decided_at or now
            done.later += [(case, began + quiet) for case, quiet in members]
    return done


def _alone(row: Mapping[str, Any]) -> bool:
    """Decided by itself: what failed or died before must not drag others along, and a replay asks for this signal."""
    return bool(row["replays"] or row["attempts"] > 1 or is_quarantine(row["queue"]))


def _immediate(case: Case) -> bool:
    return "immediate" in (case.row["priority"], case.signal.urgency)


def _due(members: Iterable[tuple[Case, timedelta]], decided_at: datetime | None, now: datetime) -> bool:
    """Whether any of them must not wait: its period is over, or it has waited for that already."""
    return any(case.row["gathering"] or decided_at is None or now >= decided_at + quiet for case, quiet in members)


def _waiting(tx: Connection, subjects: Sequence[str], ours: Sequence[Case]) -> dict[str, list[Waiting]]:
    """What else waits for the next decision on these subjects, locked; also what another worker has just taken.

    That worker waits for the subject's lock and then finds its claim gone. Left out is what failed or died before.
    """
    if not subjects:
        return {}
    found = cases.changes(
        tx,
        "WHERE s.gathering = ANY(:subjects) AND s.stage = 'decide' AND s.signal_id <> ALL(:ours) AND s.deaths = 0"
        " AND (s.attempts = 0 OR (s.attempts = 1 AND s.claim_id IS NOT NULL))"
        f" AND s.queue NOT LIKE '%.{QUARANTINE}' ORDER BY s.signal_id LIMIT :most FOR UPDATE OF s",
        {
            "subjects": sorted(subjects),
            "ours": [case.signal.signal_id for case in ours],
            "most": AT_ONCE,
        },
    )
    waiting: dict[str, list[Waiting]] = {}
    for row, change in found:
        waiting.setdefault(row["gathering"], []).append((row, change))
    return waiting


def _merge(tx: Connection, done: Sorted, members: Sequence[Case], waiting: Sequence[Waiting]) -> None:
    """The newest of them all is decided and carries the others: its context is the newest, too."""
    if len(members) == 1 and not waiting:
        done.now.append(members[0])
        return
    rows = {case.signal.signal_id: case.row for case in members}
    rows |= {change.signal.signal_id: {**row, "was_priority": LEAVES} for row, change in waiting}
    changes = [*(Change(case.signal, case.parts) for case in members), *(change for _, change in waiting)]
    changes.sort(key=lambda one: (one.signal.fired_at, one.signal.signal_id))
    *others, newest = changes
    survivor = newest.signal.signal_id
    row, priority = rows[survivor], "low"
    for one in rows.values():
        priority = higher(priority, one["priority"])
    row = {**row, "was_priority": row.get("was_priority", row["priority"]), "priority": priority}
    case = next((one for one in members if one.signal.signal_id == survivor), None)
    if case is None:
        parts = contexts.read(tx, [survivor]).get(survivor, {})
        case = Case(row, newest.signal, parts, members[0].subject)
    done.now.append(replace(case, row=row, carries=tuple(others)))
    done.into += [(rows[one.signal.signal_id], survivor) for one in others]


def record(tx: Connection, done: Sorted, held: Claim, now: datetime) -> None:
    """Write what `sort` said, but for the decisions themselves: these follow in the same transaction."""
    _wait(tx, done.later, held, now)
    _carry(tx, done, now)
    periods = [{"subject": subject, "began_at": now} for subject in sorted(done.quiet)]
    bulk.insert(tx, "quiet_periods", periods, "ON CONFLICT (subject) DO UPDATE SET began_at = excluded.began_at")


def _wait(tx: Connection, later: Sequence[tuple[Case, datetime]], held: Claim, now: datetime) -> None:
    """Back into the ledger until the period is over. That they were taken counts as no attempt."""
    if not later:
        return
    tx.execute(
        sql(
            "UPDATE signals AS s SET claim_id = NULL, lease_until = NULL, sent_at = NULL, attempts = 0,"
            " tried_at = NULL, due_at = w.due_at, gathering = w.subject FROM unnest(CAST(:ids AS uuid[]),"
            " CAST(:dues AS timestamptz[]), CAST(:subjects AS text[])) AS w(signal_id, due_at, subject)"
            " WHERE s.signal_id = w.signal_id"
        ),
        {
            "ids": [case.signal.signal_id for case, _ in later],
            "dues": [due for _, due in later],
            "subjects": [case.subject for case, _ in later],
        },
    )
    entries = []
    for case, due in later:
        detail = {**stage.timing(case.row, held, now), "wait_s": round((due - now).total_seconds(), 1)}
        entries.append(_entry("gathering", case.row, detail))
    trail.record(tx, now, entries)


def _carry(tx: Connection, done: Sorted, now: datetime) -> None:
    """End those that are carried, each naming its survivor; and let go of what waited and is decided now."""
    freed = [case.row for case in done.now if case.row["gathering"] or case.carries]
    if not freed:
        return
    into: list[tuple[uuid.UUID, uuid.UUID | None, str]] = [(row["signal_id"], None, row["priority"]) for row in freed]
    into += [(row["signal_id"], survivor, row["priority"]) for row, survivor in done.into]
    tx.execute(
        sql(
            "UPDATE signals AS s SET gathering = NULL, coalesced_into = w.survivor, priority = w.priority"
            " FROM unnest(CAST(:ids AS uuid[]), CAST(:survivors AS uuid[]), CAST(:priorities AS text[]))"
            " AS w(signal_id, survivor, priority) WHERE s.signal_id = w.signal_id"
        ),
        {
            "ids": [one[0] for one in into],
            "survivors": [one[1] for one in into],
            "priorities": [one[2] for one in into],
        },
    )
    dispositions.finish(tx, [row["signal_id"] for row, _ in done.into], "coalesced", REASON, now)
    entries = []
    for survivor, rows in groupby(done.into, key=lambda one: one[1]):
        for row, _ in rows:
            detail = {"disposition": "coalesced", "into": str(survivor), "queue": row["queue"]}
            entries.append(_entry("coalesced", row, detail))
    trail.record(tx, now, entries)


def _entry(what: str, row: Mapping[str, Any], detail: Mapping[str, Any]) -> trail.Entry:
    return trail.Entry(what, row["signal_id"], None, row["correlation_id"], detail)


def forget(tx: Connection, now: datetime) -> int:
    """Let go of periods that are long over; returns how many."""
    found = tx.execute(sql("DELETE FROM quiet_periods WHERE began_at < :limit"), {"limit": now - timedelta(days=1)})
    return found.rowcount
