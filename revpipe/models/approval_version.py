"""What an action was to do before and after each edit."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class ApprovalVersion(Base):
    """The params of one version. Kept from the first edit on: until then there is version 1, the action's own."""

    __tablename__ = "approval_versions"

    approval_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approvals.approval_id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    params: Mapped[dict[str, Any]]
    by: Mapped[str] = mapped_column(Text)
    way: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
