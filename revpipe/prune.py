"""Letting go of what is over and past its retention; what is not over is never touched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine

from revpipe import audit, cached_parts, coalescing, idempotency, prune_partitions, prune_rows
from revpipe.db import transaction
from revpipe.llm import answers
from revpipe.prune_partitions import Month
from revpipe.retention import Retention
from revpipe.seals.retired import DROPPED

log = structlog.get_logger(__name__)

ROW_KINDS: Final = ("signals", "dead_letters", "counters", "deliveries")
MONTH_KINDS: Final = ("deliveries", "trail")
AT_ONCE: Final = 50_000
"""How many signals the timetable lets go in one run, so that a run stays a matter of a minute or two."""


@dataclass(slots=True)
class Pruned:
    """What goes or went: rows by kind, and months by partition. `kept` are months that are old and stay, and why."""

    rows: dict[str, int] = field(default_factory=dict)
    months: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For machines and the audit."""
        return {"rows": dict(self.rows), "months": list(self.months), "kept": dict(self.kept)}


STILL_TOLD: Final = "signals of that time are still there"
IN_USE: Final = "it was in use; the next run tries again"


def look(engine: Engine, retention: Retention, now: datetime) -> Pruned:
    """What a run would let go; reads only. Months of the trail are judged as if the signals had gone before."""
    found = Pruned()
    with transaction(engine) as tx:
        for kind in ROW_KINDS:
            limit = retention.limit(kind, now)
            if limit is not None:
                found.rows[kind] = prune_rows.count(tx, kind, limit)
        found.months = [month.name for month in _over(tx, retention, now)]
    return found


def anything(engine: Engine, retention: Retention, now: datetime) -> bool:
    """Whether a run has a signal or a month to let go: a few probes of indexes."""
    limit = retention.limit("signals", now)
    with transaction(engine) as tx:
        if limit is not None and prune_rows.any_signal(tx, limit):
            return True
        return any(not _stays(tx, month) for month in _over(tx, retention, now))


def run(engine: Engine, retention: Retention, now: datetime, actor: str, most: int | None = None) -> Pruned:
    """Let go of what is over, signals first, since the trail outlives them; at most `most` signals. Audited.

    Short transactions throughout, so that it may be broken off and run beside anything, itself included.
    """
    done = Pruned()
    with audit.told(engine, now, actor, "prune", {"retention": retention.as_dict()}) as outcome:
        for kind in ROW_KINDS:
            limit = retention.limit(kind, now)
            if limit is not None:
                done.rows[kind] = (
                    prune_rows.signals(engine, limit, most)
                    if kind == "signals"
                    else prune_rows.others(engine, kind, limit)
                )
        with transaction(engine) as tx:
            done.rows["cached_parts"] = cached_parts.forget_expired(tx, now)
            done.rows["quiet_periods"] = coalescing.forget(tx, now)
            done.rows["idempotency_keys"] = idempotency.forget(tx, now)
            limit = retention.limit("signals", now)
            if limit is not None:
                done.rows["llm_answers"] = answers.forget(tx, limit)
            months = _over(tx, retention, now)
        for month in months:
            _let_go(engine, month, done, now, actor)
        outcome.update(done.as_dict())
    log.info("pruned", **_numbers(done.rows), months=len(done.months))
    return done


def _over(tx: Connection, retention: Retention, now: datetime) -> list[Month]:
    found: list[Month] = []
    for kind in MONTH_KINDS:
        limit = retention.limit(kind, now)
        if limit is not None:
            found += prune_partitions.over(tx, kind, limit)
    return found


def _stays(tx: Connection, month: Month) -> bool:
    return month.table == "trail" and prune_partitions.told_of(tx, month)


def _let_go(engine: Engine, month: Month, done: Pruned, now: datetime, actor: str) -> None:
    with transaction(engine) as tx:
        stays = _stays(tx, month)
    if stays:
        done.kept[month.name] = STILL_TOLD
    elif prune_partitions.drop(engine, month, lambda tx: audit.write(tx, now, actor, DROPPED, {"month": month.name})):
        done.months.append(month.name)
    else:
        done.kept[month.name] = IN_USE


def _numbers(rows: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in rows.items() if count}
