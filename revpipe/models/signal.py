"""Canonical signals and how far each has come."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Double, Index, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base
from revpipe.models.work import WorkItem

STATES = ("received", "enriched", "decided", "parked", "waiting", "done")
DISPOSITIONS = (
    "dead_lettered",
    "acted",
    "rejected",
    "expired",
    "suppressed",
    "coalesced",
    "nothing_due",
)
"""In order of precedence: a signal has the first that fits."""


class SignalRow(WorkItem, Base):
    """One signal. `stage` is what comes next; `priority` follows the urgency, which context may raise.

    `replays` counts how often it was sent back to be decided anew. `gathering` is the subject whose next decision it
    waits for; `coalesced_into` is the signal that carries it, where its disposition is `coalesced`.
    """

    __tablename__ = "signals"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        CheckConstraint(f"disposition IN {DISPOSITIONS!r}", name="disposition"),
        CheckConstraint("(state = 'done') = (disposition IS NOT NULL)", name="done_has_disposition"),
        Index("ix_signals_due", "queue", "due_at", postgresql_where=text("queue IS NOT NULL AND sent_at IS NULL")),
        Index(
            "ix_signals_turn",
            "queue",
            "source",
            "due_at",
            postgresql_where=text("queue IS NOT NULL AND sent_at IS NULL"),
        ),
        Index("ix_signals_sent", "sent_at", postgresql_where=text("queue IS NOT NULL AND sent_at IS NOT NULL")),
        Index("ix_signals_waits", "waits_for", "queue", "fired_at", postgresql_where=text("waits_for IS NOT NULL")),
        Index("ix_signals_open", "received_at", postgresql_where=text("state <> 'done'")),
        Index("ix_signals_received", "received_at"),
        Index("ix_signals_deal", "deal_id", "fired_at", postgresql_where=text("deal_id IS NOT NULL")),
        Index("ix_signals_account", "account_id", "fired_at", postgresql_where=text("account_id IS NOT NULL")),
        Index("ix_signals_correlation", "correlation_id"),
        Index("ix_signals_gathering", "gathering", postgresql_where=text("gathering IS NOT NULL")),
        Index("ix_signals_coalesced", "coalesced_into", postgresql_where=text("coalesced_into IS NOT NULL")),
        Index("ix_signals_delivery", "delivery_id"),
    )

    signal_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    signal_type: Mapped[str] = mapped_column(Text)
    event: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    account_id: Mapped[str | None] = mapped_column(Text)
    deal_id: Mapped[str | None] = mapped_column(Text)
    contact_id: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any]]
    urgency: Mapped[str] = mapped_column(Text)
    confidence: Mapped[float] = mapped_column(Double)
    fired_at: Mapped[datetime]
    received_at: Mapped[datetime]
    delivery_id: Mapped[uuid.UUID]
    correlation_id: Mapped[uuid.UUID]
    priority: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    stage: Mapped[str | None] = mapped_column(Text)
    disposition: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    replays: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    gathering: Mapped[str | None] = mapped_column(Text)
    coalesced_into: Mapped[uuid.UUID | None]
