"""One of several people's yes to an action."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class ApprovalVote(Base):
    """A yes where policy wants more than one. It counts for the version that was seen, and for no later one."""

    __tablename__ = "approval_votes"

    approval_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approvals.approval_id"), primary_key=True)
    by: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    way: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
