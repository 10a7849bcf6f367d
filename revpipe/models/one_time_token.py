"""Links in e-mails that decide once."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class OneTimeToken(Base):
    """One link, by the hash of its token: one person's word on one version of one action."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (Index("ix_one_time_tokens_approval_id", "approval_id"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    approval_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approvals.approval_id", ondelete="CASCADE"))
    action_id: Mapped[uuid.UUID]
    version: Mapped[int] = mapped_column(Integer)
    user_id: Mapped[uuid.UUID | None]
    email: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_for: Mapped[str | None] = mapped_column(Text)
