"""Duties that one process at a time has."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Lease(Base):
    """Who has a duty and until when.

    `round_at` is when its last round began, `epoch` the life of the broker that it has seen.
    """

    __tablename__ = "leases"

    duty: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime]
    round_at: Mapped[datetime]
    epoch: Mapped[str | None] = mapped_column(Text)
