"""Read-only questions of the command line, the API and the console."""

import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, text


def open_signals(tx: Connection) -> dict[str, int]:
    """How many signals are open, by state: what it costs grows with what is open, not with the ledger."""
    rows = tx.execute(
        text("SELECT state AS name, count(*) AS found FROM signals WHERE state <> 'done' GROUP BY 1 ORDER BY 2 DESC")
    )
    return {row.name: row.found for row in rows}


def latest_signals(tx: Connection, limit: int, deal_id: str | None = None) -> list[dict[str, Any]]:
    """The newest signals, of one deal if it is named."""
    rows = tx.execute(
        text(
            "SELECT signal_id, received_at, fired_at, source, event, deal_id, account_id, contact_id, priority,"
            " state, disposition, reason, correlation_id FROM signals"
            " WHERE CAST(:deal AS text) IS NULL OR deal_id = :deal ORDER BY received_at DESC, signal_id LIMIT :limit"
        ),
        {"limit": limit, "deal": deal_id},
    )
    return [dict(row) for row in rows.mappings()]


def signals_named(tx: Connection, name: str) -> list[uuid.UUID]:
    """The signals that an id leads to: a signal, correlation, delivery, action or dead letter, or a deal."""
    try:
        wanted = uuid.UUID(name)
    except ValueError:
        if not name.isprintable():
            return []  # No id, and what PostgreSQL would not take as a text.
        found = tx.execute(
            text("SELECT signal_id FROM signals WHERE deal_id = :name ORDER BY received_at, signal_id"),
            {"name": name},
        )
        return list(found.scalars())
    for question in (
        "SELECT signal_id FROM signals WHERE signal_id = :id",
        "SELECT signal_id FROM actions WHERE action_id = :id",
        "SELECT signal_id FROM signals WHERE correlation_id = :id ORDER BY fired_at, signal_id",
        "SELECT signal_id FROM signals WHERE delivery_id = :id ORDER BY fired_at, signal_id",
        "SELECT DISTINCT signal_id FROM trail WHERE correlation_id = :id AND signal_id IS NOT NULL",
        "SELECT signal_id FROM dead_letters WHERE letter_id = :id AND signal_id IS NOT NULL",
    ):
        signals = list(tx.execute(text(question), {"id": wanted}).scalars())
        if signals:
            return signals
    return []


def letter_named(tx: Connection, name: str) -> uuid.UUID | None:
    """The newest dead letter that an id leads to: its own, or that of its delivery or correlation."""
    try:
        wanted = uuid.UUID(name)
    except ValueError:
        return None
    for column in ("letter_id", "delivery_id", "correlation_id"):
        question = f"SELECT letter_id FROM dead_letters WHERE {column} = :id ORDER BY last_at DESC LIMIT 1"  # noqa: S608
        letter_id: uuid.UUID | None = tx.execute(text(question), {"id": wanted}).scalar()
        if letter_id:
            return letter_id
    return None


def story(tx: Connection, signal_id: uuid.UUID) -> dict[str, Any]:
    """All that the ledger holds of one signal: itself, its context, plan, actions, approvals and trail."""
    values: dict[str, Any] = {"id": signal_id}

    def rows(question: str) -> list[dict[str, Any]]:
        return [dict(row) for row in tx.execute(text(question), values).mappings()]

    signal = rows("SELECT * FROM signals WHERE signal_id = :id")[0]
    # Nothing is told of a signal before it came, but for clocks that differ: earlier months are not looked into.
    values["since"] = signal["received_at"] - timedelta(hours=1)
    context = rows("SELECT * FROM contexts WHERE signal_id = :id")
    plan = rows("SELECT * FROM plans WHERE signal_id = :id")
    return {
        "signal": signal,
        "context": context[0] if context else None,
        "plan": plan[0] if plan else None,
        "actions": rows("SELECT * FROM actions WHERE signal_id = :id ORDER BY created_at, action_id"),
        "approvals": rows("SELECT p.* FROM approvals p JOIN actions a USING (action_id) WHERE a.signal_id = :id"),
        "trail": rows("SELECT * FROM trail WHERE signal_id = :id AND at >= :since ORDER BY at, trail_id"),
        "shadow_outcomes": rows("SELECT * FROM shadow_outcomes WHERE signal_id = :id ORDER BY rule_id"),
        "survivor": rows(
            "SELECT o.signal_id, o.disposition, o.reason FROM signals AS s JOIN signals AS o"
            " ON o.signal_id = s.coalesced_into WHERE s.signal_id = :id"
        ),
        "carried": rows(
            "SELECT signal_id, event, fired_at FROM signals WHERE coalesced_into = :id ORDER BY fired_at, signal_id"
        ),
        "superseded": rows("SELECT * FROM superseded WHERE signal_id = :id ORDER BY at, superseded_id"),
        "dead_letters": rows(
            "SELECT letter_id, stage, reason, error, attempts, last_at, state FROM dead_letters WHERE signal_id = :id"
        ),
    }


CHANGES_LOOKED_AT = 50
"""So many of the latest changes are compared: one that is committed late is still among them."""


def approvals_changed(tx: Connection) -> str:
    """A text that differs after any change of any approval; a walk along an index of a few rows."""
    rows = tx.execute(
        text("SELECT approval_id, revision FROM approvals ORDER BY changed_at DESC LIMIT :most"),
        {"most": CHANGES_LOOKED_AT},
    )
    return " ".join(sorted(f"{row.approval_id}:{row.revision}" for row in rows))
