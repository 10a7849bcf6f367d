"""Hourly counts of what left no row of its own."""

from datetime import datetime

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Counter(Base):
    """How often something happened in an hour: refused signatures, duplicates."""

    __tablename__ = "counters"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
