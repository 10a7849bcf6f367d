"""What people are shown of approvals, by which way, and how far that is up to date."""

import uuid
from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base
from revpipe.models.work import WorkItem

WAYS = ("slack", "email")
STATES = ("wanted", "shown", "undeliverable", "over")


class ApprovalRequest(WorkItem, Base):
    """One approval, to be seen by one recipient by one way as of the approval's present revision.

    `address` is a person's e-mail or a channel's id. `place`, `ref` and `thread` say where the vendor has it: channel,
    message, and the message whose thread it stands in. `maybe_sent` is set from just before a first sending until its
    outcome is known. A row with a `note` is a word to one person instead, said once; `ref` is then that person.
    """

    __tablename__ = "approval_requests"
    __table_args__ = (
        CheckConstraint(f"way IN {WAYS!r}", name="way"),
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        Index(
            "uq_approval_requests_recipient",
            "approval_id",
            "way",
            "address",
            unique=True,
            postgresql_where=text("note IS NULL"),
        ),
        Index("ix_approval_requests_approval_id", "approval_id"),
        Index(
            "ix_approval_requests_due",
            "queue",
            "due_at",
            postgresql_where=text("queue IS NOT NULL AND sent_at IS NULL"),
        ),
        Index(
            "ix_approval_requests_sent", "sent_at", postgresql_where=text("queue IS NOT NULL AND sent_at IS NOT NULL")
        ),
        Index(
            "ix_approval_requests_waits",
            "waits_for",
            "queue",
            "created_at",
            postgresql_where=text("waits_for IS NOT NULL"),
        ),
        Index(
            "ix_approval_requests_thread",
            "deal_id",
            "place",
            "created_at",
            postgresql_where=text("ref IS NOT NULL AND thread IS NULL"),
        ),
    )

    request_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    approval_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("approvals.approval_id", ondelete="CASCADE"))
    action_id: Mapped[uuid.UUID]
    signal_id: Mapped[uuid.UUID]
    correlation_id: Mapped[uuid.UUID]
    deal_id: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    way: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    user_id: Mapped[uuid.UUID | None]
    note: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    shown_revision: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    shown_version: Mapped[int | None] = mapped_column(Integer)
    place: Mapped[str | None] = mapped_column(Text)
    ref: Mapped[str | None] = mapped_column(Text)
    thread: Mapped[str | None] = mapped_column(Text)
    maybe_sent: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    first_tried_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
