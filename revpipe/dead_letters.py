"""Burying what will not succeed by itself, with all that is needed to understand it."""

import hashlib
import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

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


def bury(tx: Connection, letters: Sequence[Letter], now: datetime) -> None:
    """Write the letters; one whose key is there already is counted again and opened again."""
    for letter in sorted(letters, key=lambda one: one.key):
        tx.execute(
            text(
                "INSERT INTO dead_letters (letter_id, letter_key, stage, source, queue, reason, error, traceback,"
                " signal_id, action_id, delivery_id, correlation_id, message, attempts, worker, state, first_at,"
                " last_at, detail) VALUES (:letter_id, :key, :stage, :source, :queue, :reason, :error, :traceback,"
                " :signal_id, :action_id, :delivery_id, :correlation_id, :message, :attempts, :worker, 'open',"
                " :first_at, :now, '{}') ON CONFLICT (letter_key) DO UPDATE SET times = dead_letters.times + 1,"
                " last_at = excluded.last_at, error = excluded.error, traceback = excluded.traceback,"
                " attempts = excluded.attempts, reason = excluded.reason, worker = excluded.worker, state = 'open'"
            ),
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


def listing(tx: Connection, state: str = "open", limit: int = 50) -> list[dict[str, Any]]:
    """The newest letters in `state`, without their bodies."""
    rows = tx.execute(
        text(
            "SELECT letter_id, stage, source, reason, error, signal_id, action_id, delivery_id, attempts, times,"
            " first_at, last_at, state FROM dead_letters WHERE state = :state ORDER BY last_at DESC LIMIT :limit"
        ),
        {"state": state, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def show(tx: Connection, letter_id: uuid.UUID) -> dict[str, Any] | None:
    """One letter whole, None if there is none."""
    row = tx.execute(text("SELECT * FROM dead_letters WHERE letter_id = :id"), {"id": letter_id}).mappings().first()
    return dict(row) if row else None


def _clean(words: str) -> str:
    # PostgreSQL's text takes neither NUL nor half a surrogate pair, and an error text may quote both.
    return words.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
