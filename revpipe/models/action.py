"""Effects wanted on outside systems."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base
from revpipe.models.work import WorkItem

STATES = (
    "planned",
    "awaiting_approval",
    "ready",
    "running",
    "done",
    "failed",
    "unknown",
    "rejected",
    "expired",
    "cancelled",
    "suppressed",
)
OPEN = ("planned", "awaiting_approval", "ready", "running", "unknown")
"""States in which an action is still in flight; one such action for each (rule, subject, type)."""


class Action(WorkItem, Base):
    """One effect: one row, one claim, one key. `suppressed_by` names the action that stood in its way.

    `maybe_done` is set from just before a call to the vendor until its outcome is known, so that a try after a
    crash looks for the effect first. `replayed_at` is when a person last had it carried out anew. `expires_s` is how
    many seconds from its planning or replay its rule wants it for; None: the rule says nothing of it. `released_at` is
    when an approval let it go; None where nobody was asked. `recipient` is the address that it writes to, if any.
    """

    __tablename__ = "actions"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        Index(
            "uq_actions_one_open",
            "rule_id",
            "subject",
            "type",
            unique=True,
            postgresql_where=text(f"state IN {OPEN!r}"),
        ),
        Index("ix_actions_due", "queue", "due_at", postgresql_where=text("queue IS NOT NULL AND sent_at IS NULL")),
        Index("ix_actions_sent", "sent_at", postgresql_where=text("queue IS NOT NULL AND sent_at IS NOT NULL")),
        Index("ix_actions_waits", "waits_for", "queue", "created_at", postgresql_where=text("waits_for IS NOT NULL")),
        Index("ix_actions_signal", "signal_id"),
        Index("ix_actions_subject", "subject", "created_at"),
        Index("ix_actions_correlation", "correlation_id"),
        Index("ix_actions_plan", "plan_id"),
        Index("ix_actions_created", "created_at", "action_id"),
        Index(
            "ix_actions_recipient",
            "recipient",
            "done_at",
            postgresql_where=text("recipient IS NOT NULL AND state = 'done'"),
        ),
    )

    action_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    signal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("signals.signal_id"))
    plan_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("plans.plan_id"))
    correlation_id: Mapped[uuid.UUID]
    rule_id: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    deal_id: Mapped[str | None] = mapped_column(Text)
    account_id: Mapped[str | None] = mapped_column(Text)
    contact_id: Mapped[str | None] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    adapter: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, Any]]
    approval: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    suppressed_by: Mapped[uuid.UUID | None]
    maybe_done: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    first_tried_at: Mapped[datetime | None]
    effect: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    replayed_at: Mapped[datetime | None]
    expires_s: Mapped[int | None] = mapped_column(Integer)
    released_at: Mapped[datetime | None]
    recipient: Mapped[str | None] = mapped_column(Text)
