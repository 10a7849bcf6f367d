"""The decision on a signal."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Plan(Base):
    """One decision: who made it (`rules`, `llm`, `fallback`), by which version, and why."""

    __tablename__ = "plans"
    __table_args__ = (Index("ix_plans_created", "created_at", "plan_id"),)

    plan_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    signal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("signals.signal_id"), unique=True)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    decided_by: Mapped[str] = mapped_column(Text)
    rules_version: Mapped[str] = mapped_column(ForeignKey("rule_versions.version"))
    conclusive: Mapped[bool] = mapped_column(Boolean)
    why: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
