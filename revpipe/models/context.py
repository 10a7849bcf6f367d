"""What enrichment added to a signal, stored once."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Context(Base):
    """The context of one signal: part name → provider, time, completeness and value."""

    __tablename__ = "contexts"

    signal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("signals.signal_id"), primary_key=True)
    schema_version: Mapped[int] = mapped_column(SmallInteger)
    subject: Mapped[str] = mapped_column(Text)
    parts: Mapped[dict[str, Any]]
    complete: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime]
