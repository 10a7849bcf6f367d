"""Whom nothing is sent to."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

REASONS = ("unsubscribed", "do_not_contact", "competitor")


class Suppression(Base):
    """An address, or all addresses of a domain, that no action may go to. In lower case."""

    __tablename__ = "suppressions"
    __table_args__ = (
        CheckConstraint(f"reason IN {REASONS!r}", name="reason"),
        CheckConstraint("address = lower(address)", name="address"),
    )

    address: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    added_by: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime]
