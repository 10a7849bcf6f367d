"""Parts of context that were fetched lately, so that a burst does not ask a vendor twice."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class CachedPart(Base):
    """One part of context for one subject, until it expires."""

    __tablename__ = "cached_parts"
    __table_args__ = (Index(None, "expires_at"),)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    part: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[dict[str, Any]]
    fetched_at: Mapped[datetime]
    expires_at: Mapped[datetime]
