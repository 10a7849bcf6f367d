"""What rules in shadow would have done."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class ShadowOutcome(Base):
    """A rule in shadow fired on a signal. `settles`: it alone would have made the plan conclusive.

    `actions` are those that it would have wanted, each with type, priority, params, whether a person would have been
    asked, and the `reason` if its own cooldown would have suppressed it. They hold customer data, as plans do, and go
    when their signal goes.
    """

    __tablename__ = "shadow_outcomes"
    __table_args__ = (
        Index("ix_shadow_outcomes_rule", "rule_id", "created_at"),
        Index("ix_shadow_outcomes_subject", "subject", "rule_id", "created_at"),
    )

    signal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("signals.signal_id"), primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    rules_version: Mapped[str] = mapped_column(ForeignKey("rule_versions.version"))
    subject: Mapped[str] = mapped_column(Text)
    settles: Mapped[bool] = mapped_column(Boolean)
    actions: Mapped[list[Any]]
    created_at: Mapped[datetime]
