"""A person's word on an action."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

STATES = ("open", "approved", "rejected", "expired")


class Approval(Base):
    """One request for approval; whoever moves it out of `open` first has decided."""

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        Index("ix_approvals_open", "expires_at", postgresql_where=text("state = 'open'")),
    )

    approval_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    action_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("actions.action_id"), unique=True)
    state: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
