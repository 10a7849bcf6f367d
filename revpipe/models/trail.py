"""The append-only journey of signals."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class TrailRow(Base):
    """One thing that happened. Holds ids, codes and numbers, never personal data. Partitioned by month."""

    __tablename__ = "trail"
    __table_args__ = (
        Index("ix_trail_signal", "signal_id"),
        Index("ix_trail_correlation", "correlation_id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    at: Mapped[datetime] = mapped_column(primary_key=True)
    trail_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    correlation_id: Mapped[uuid.UUID | None]
    signal_id: Mapped[uuid.UUID | None]
    action_id: Mapped[uuid.UUID | None]
    what: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
