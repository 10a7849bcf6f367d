"""What people did to the pipeline by hand."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class OperatorAudit(Base):
    """One command that changed something: who, when, which, and what it did, in ids, codes and numbers."""

    __tablename__ = "operator_audit"
    __table_args__ = (Index("ix_operator_audit_at", "at"),)

    audit_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    command: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any]]
