"""The calls that were made, as the ledger keeps them: so that no question is asked twice, and each can be accounted."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from revpipe.db import sql, to_json
from revpipe.ids import uuid7


@dataclass(frozen=True, slots=True)
class Call:
    """One call and what came of it; `outcome` is `answered` or a code for what was wrong with it.

    A call without an answer (time-out, 429, 5xx) has no tokens and no cost: nobody has told them.
    """

    question: str
    provider: str
    model: str
    template: str
    attempt: int
    outcome: str
    kept: bool
    answer: dict[str, Any] | None
    request_id: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    latency_ms: int
    asked_at: datetime
    detail: str = ""
    """For the model's repair of it; not stored."""
    reused: bool = False


_COLUMNS = (
    *("question", "provider", "model", "template", "attempt", "outcome", "kept", "answer", "request_id"),
    *("input_tokens", "cached_tokens", "output_tokens", "cost_usd", "latency_ms", "asked_at"),
)


def kept(tx: Connection, question: str) -> Call | None:
    """What a question came to when it was asked before."""
    columns = ", ".join(_COLUMNS)
    row = tx.execute(
        sql(f"SELECT {columns} FROM llm_answers WHERE question = :question AND kept"),  # noqa: S608
        {"question": question},
    )
    found = row.mappings().first()
    return Call(**found, reused=True) if found else None


def keep(tx: Connection, call: Call, signal_id: uuid.UUID) -> None:
    """Store a call. Should another worker have kept an answer to the same question meanwhile, that one stands."""
    values = {name: getattr(call, name) for name in _COLUMNS}
    values["answer"] = None if call.answer is None else to_json(call.answer)
    tx.execute(
        sql(
            f"INSERT INTO llm_answers (answer_id, signal_id, {', '.join(_COLUMNS)})"  # noqa: S608
            " VALUES (:answer_id, :signal_id, :question, :provider, :model, :template, :attempt, :outcome, :kept,"
            " CAST(:answer AS jsonb), :request_id, :input_tokens, :cached_tokens, :output_tokens, :cost_usd,"
            " :latency_ms, :asked_at) ON CONFLICT (question) WHERE kept DO NOTHING"
        ),
        {**values, "answer_id": uuid7(), "signal_id": signal_id},
    )


def usage(tx: Connection, since: datetime) -> list[dict[str, Any]]:
    """Calls, tokens, cost and latency since a moment, by day (UTC) and model, the newest day first."""
    rows = tx.execute(
        sql(
            "SELECT CAST(asked_at AT TIME ZONE 'UTC' AS date) AS day, provider, model, count(*) AS calls,"
            " count(*) FILTER (WHERE outcome <> 'answered') AS failed, sum(input_tokens) AS input_tokens,"
            " sum(cached_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd,"
            " percentile_disc(0.5) WITHIN GROUP (ORDER BY latency_ms) AS latency_p50_ms, max(latency_ms)"
            " AS latency_max_ms FROM llm_answers WHERE asked_at >= :since GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3"
        ),
        {"since": since},
    )
    return [dict(row) for row in rows.mappings()]


def outcomes(tx: Connection, since: datetime) -> list[dict[str, Any]]:
    """Who decided what the rules had left open since a moment: `by`, `outcome` (of the model) and `plans`.

    By `llm` or `fallback`, the most frequent first.
    """
    rows = tx.execute(
        sql(
            "SELECT decided_by AS \"by\", why->'llm'->>'outcome' AS outcome, count(*) AS plans FROM plans"
            " WHERE created_at >= :since AND decided_by IN ('llm', 'fallback') AND why->'llm' IS NOT NULL"
            " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        ),
        {"since": since},
    )
    return [dict(row) for row in rows.mappings()]


def forget(tx: Connection, before: datetime, most: int = 5000) -> int:
    """Delete calls of before a moment; returns how many."""
    return tx.execute(
        sql(
            "DELETE FROM llm_answers WHERE answer_id IN (SELECT answer_id FROM llm_answers WHERE asked_at < :before"
            " ORDER BY asked_at LIMIT :most)"
        ),
        {"before": before, "most": most},
    ).rowcount


def start_of(days: timedelta, now: datetime) -> datetime:
    """The beginning of the day (UTC) that was so long ago."""
    return (now - days).replace(hour=0, minute=0, second=0, microsecond=0)
