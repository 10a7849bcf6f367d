"""Work that will not succeed by itself."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

STATES = ("open", "replayed", "discarded")


class DeadLetter(Base):
    """One piece of work with all that is needed to understand it. `letter_key` keeps repeats in one row."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        Index("ix_dead_letters_open", "last_at", postgresql_where=text("state = 'open'")),
        Index("ix_dead_letters_last", "last_at", "letter_id"),
        Index("ix_dead_letters_signal", "signal_id"),
        Index("ix_dead_letters_correlation", "correlation_id"),
        Index("ix_dead_letters_delivery", "delivery_id"),
    )

    letter_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    letter_key: Mapped[str] = mapped_column(Text, unique=True)
    stage: Mapped[str] = mapped_column(Text)
    source: Mapped[str | None] = mapped_column(Text)
    queue: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    error: Mapped[str] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    signal_id: Mapped[uuid.UUID | None]
    action_id: Mapped[uuid.UUID | None]
    delivery_id: Mapped[uuid.UUID | None]
    correlation_id: Mapped[uuid.UUID | None]
    message: Mapped[bytes | None] = mapped_column(LargeBinary)
    attempts: Mapped[int] = mapped_column(Integer)
    times: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    worker: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default=text("'open'"))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(Text)
    closed_why: Mapped[str | None] = mapped_column(Text)
    replays: Mapped[int] = mapped_column(Integer, server_default=text("0"))
