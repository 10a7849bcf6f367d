"""Burying what will not succeed by itself, with all that is needed to understand it, and taking it up again."""

import hashlib
import traceback
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from revpipe.ids import uuid7


@dataclass(frozen=True, slots=True)
class Letter:
    """One piece of dead work. `key` is the same for the same work, so that a repeat is counted, not added."""

    key: str
    stage: str
    reason: str
    error: str
    source: str | None = None
    queue: str | None = None
    traceback: str | None = None
    signal_id: uuid.UUID | None = None
    action_id: uuid.UUID | None = None
    delivery_id: uuid.UUID | None = None
    correlation_id: uuid.UUID | None = None
    message: bytes | None = None
    attempts: int = 0
    worker: str | None = None
    first_at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What else helps to understand it: ids, codes and numbers."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; what is None is not asked. `since` and `until` bound the last time it was buried."""

    stage: str | None = None
    reason: str | None = None
    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    signal_id: uuid.UUID | None = None

    @property
    def empty(self) -> bool:
        """Whether it means every letter there is."""
        return all(getattr(self, name) is None for name in Filter.__slots__)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page of the list ended: the next one begins behind it."""

    last_at: datetime
    letter_id: uuid.UUID


def bury(tx: Connection, letters: Sequence[Letter], now: datetime) -> None:
    """Write the letters; one whose key is there already is counted again and opened again."""
    for letter in sorted(letters, key=lambda one: one.key):
        tx.execute(
            text(
                "INSERT INTO dead_letters (letter_id, letter_key, stage, source, queue, reason, error, traceback,"
                " signal_id, action_id, delivery_id, correlation_id, message, attempts, worker, state, first_at,"
                " last_at, detail) VALUES (:letter_id, :key, :stage, coalesce(:source,"
                " (SELECT source FROM signals WHERE signal_id = :signal_id)), :queue, :reason, :error, :traceback,"
                " :signal_id, :action_id, :delivery_id, :correlation_id, :message, :attempts, :worker, 'open',"
                " :first_at, :now, :detail) ON CONFLICT (letter_key) DO UPDATE SET times = dead_letters.times + 1,"
                " last_at = excluded.last_at, error = excluded.error, traceback = excluded.traceback,"
                " attempts = excluded.attempts, reason = excluded.reason, worker = excluded.worker,"
                " detail = excluded.detail, state = 'open', closed_at = NULL, closed_by = NULL, closed_why = NULL"
            ).bindparams(bindparam("detail", type_=JSONB)),
            {
                "letter_id": uuid7(),
                "now": now,
                **{name: getattr(letter, name) for name in Letter.__slots__},
                "error": _clean(letter.error)[:4000],
                # Of a long traceback the end is worth keeping: it names the error and the line that raised it.
                "traceback": _clean(letter.traceback)[-8000:] if letter.traceback else None,
                "first_at": letter.first_at or now,
            },
        )


def of_fragment(source: str, fragment: bytes) -> str:
    """The key of a bad event: the same text from the same source is the same letter."""
    return f"ingest:{source}:{hashlib.sha256(fragment).hexdigest()}"


def traceback_of(error: BaseException) -> str:
    """The traceback as text, bounded; it holds code and error text, no local variables."""
    return "".join(traceback.format_exception(error))[-8000:]


_MEANT = (
    "(CAST(:state AS text) IS NULL OR state = :state) AND (CAST(:stage AS text) IS NULL OR stage = :stage)"
    " AND (CAST(:reason AS text) IS NULL OR reason = :reason) AND (CAST(:source AS text) IS NULL OR source = :source)"
    " AND (CAST(:since AS timestamptz) IS NULL OR last_at >= :since)"
    " AND (CAST(:until AS timestamptz) IS NULL OR last_at < :until)"
    " AND (CAST(:signal_id AS uuid) IS NULL OR signal_id = :signal_id)"
)


def listing(
    tx: Connection,
    state: str | None = "open",
    limit: int = 50,
    wanted: Filter | None = None,
    behind: Mark | None = None,
) -> list[dict[str, Any]]:
    """The newest letters in `state` (None: in any) that `wanted` means, without their bodies; a page at a time."""
    rows = tx.execute(
        text(
            "SELECT letter_id, stage, source, reason, error, signal_id, action_id, delivery_id, attempts, times,"  # noqa: S608
            " replays, first_at, last_at, state, closed_at, closed_by, closed_why FROM dead_letters"
            f" WHERE {_MEANT} AND (CAST(:last_at AS timestamptz) IS NULL OR (last_at, letter_id) < (:last_at, :letter))"
            " ORDER BY last_at DESC, letter_id DESC LIMIT :limit"
        ),
        {
            **_values(state, wanted),
            "limit": limit,
            "last_at": behind.last_at if behind else None,
            "letter": behind.letter_id if behind else None,
        },
    )
    return [dict(row) for row in rows.mappings()]


def chosen(tx: Connection, wanted: Filter, limit: int | None = None) -> list[uuid.UUID]:
    """The ids of the open letters that `wanted` means, the one that was buried first in front."""
    rows = tx.execute(
        text(f"SELECT letter_id FROM dead_letters WHERE {_MEANT} ORDER BY last_at, letter_id LIMIT :limit"),  # noqa: S608
        {**_values("open", wanted), "limit": limit},
    )
    return list(rows.scalars())


def show(tx: Connection, letter_id: uuid.UUID, *, lock: bool = False) -> dict[str, Any] | None:
    """One letter whole, None if there is none. With `lock` it is ours until the transaction ends."""
    question = "SELECT * FROM dead_letters WHERE letter_id = :id" + (" FOR UPDATE" if lock else "")  # noqa: S608
    row = tx.execute(text(question), {"id": letter_id}).mappings().first()
    return dict(row) if row else None


def close(
    tx: Connection, letter_ids: Sequence[uuid.UUID], state: str, by: str, why: str | None, now: datetime
) -> list[dict[str, Any]]:
    """Close open letters as `replayed` or `discarded`; returns what was closed: letter, signal and correlation.

    A discarded letter's signal stays dead-lettered.
    """
    rows = tx.execute(
        text(
            "WITH mine AS (SELECT letter_id FROM dead_letters WHERE letter_id = ANY(:ids) AND state = 'open'"
            " ORDER BY letter_id FOR UPDATE) UPDATE dead_letters AS d SET state = :state, closed_at = :now,"
            " closed_by = :by, closed_why = :why, replays = replays + CASE WHEN :state = 'replayed' THEN 1 ELSE 0 END"
            " FROM mine WHERE d.letter_id = mine.letter_id"
            " RETURNING d.letter_id, d.signal_id, d.action_id, d.correlation_id, d.stage"
        ),
        {"ids": sorted(letter_ids), "state": state, "by": by, "why": why, "now": now},
    )
    return [dict(row) for row in rows.mappings()]


def open_of(tx: Connection, signal_id: uuid.UUID) -> list[dict[str, Any]]:
    """The open letters of a signal and of its actions, the newest in front."""
    rows = tx.execute(
        text(
            "SELECT letter_id, stage, action_id FROM dead_letters WHERE signal_id = :id AND state = 'open'"
            " ORDER BY last_at DESC, letter_id DESC"
        ),
        {"id": signal_id},
    )
    return [dict(row) for row in rows.mappings()]


def _values(state: str | None, wanted: Filter | None) -> dict[str, Any]:
    asked = wanted or Filter()
    return {"state": state, **{name: getattr(asked, name) for name in Filter.__slots__}}


def _clean(words: str) -> str:
    # PostgreSQL's text takes neither NUL nor half a surrogate pair, and an error text may quote both.
    return words.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
