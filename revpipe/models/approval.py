"""A person's word on an action."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

STATES = ("open", "approved", "rejected", "expired")


class Approval(Base):
    """One request for approval; whoever moves it out of `open` first has decided.

    `version` is that of the params which are shown and would be approved; `revision` grows by one and `changed_at`
    moves with every change that somebody who looks at it should see; `told_revision` is the last that people know of.
    `planned_by` is who wanted the action: `rules`, `llm` or `fallback`. The approver is a user, or whoever has a role.
    `delivered_at`: since when the approver surely has the request. `needed` is how many people must agree.
    """

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        Index("ix_approvals_open", "expires_at", postgresql_where=text("state = 'open'")),
        Index("ix_approvals_state", "state", "expires_at", "action_id"),
        Index("ix_approvals_owner", "owner_id", "state", "expires_at", "action_id"),
        Index("ix_approvals_changed", "changed_at"),
        Index("ix_approvals_untold", "changed_at", postgresql_where=text("told_revision < revision")),
    )

    approval_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    action_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("actions.action_id"), unique=True)
    state: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    revision: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    told_revision: Mapped[int] = mapped_column(Integer, server_default=text("-1"))
    changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    way: Mapped[str | None] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text, server_default=text("''"))
    planned_by: Mapped[str] = mapped_column(Text, server_default=text("'rules'"))
    risk: Mapped[str] = mapped_column(Text, server_default=text("'high'"))
    on_expiry: Mapped[str] = mapped_column(Text, server_default=text("'expire'"))
    needed: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))
    owner_id: Mapped[str | None] = mapped_column(Text)
    approver_user_id: Mapped[uuid.UUID | None]
    approver_email: Mapped[str | None] = mapped_column(Text)
    approver_role: Mapped[str | None] = mapped_column(Text, server_default=text("'operator'"))
    delivered_at: Mapped[datetime | None]
    seen_at: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
