"""What a replay put something newer in place of."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

KINDS = ("payload", "context", "plan")


class Superseded(Base):
    """A signal's former payload, context or plan, whole, so that an earlier decision can still be explained.

    It holds customer data, as what it was made from does, and goes when its signal goes. `made_at` is when the
    record was made (None for a payload), `at` when it was replaced, `audit_id` by which command.
    """

    __tablename__ = "superseded"
    __table_args__ = (
        CheckConstraint(f"kind IN {KINDS!r}", name="kind"),
        Index("ix_superseded_signal", "signal_id"),
    )

    superseded_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    signal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("signals.signal_id"))
    kind: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime | None]
    at: Mapped[datetime]
    audit_id: Mapped[uuid.UUID]
    record: Mapped[dict[str, Any]]
