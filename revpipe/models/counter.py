"""Hourly counts of what left no row of its own."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Counter(Base):
    """How often something happened in an hour: refused signatures, duplicates, signals accepted and ended.

    `balance:open` is how many signals of an hour should be open; `total:…` rows, in hour 0 of 1970, run over all hours.
    """

    __tablename__ = "counters"
    __table_args__ = (Index("ix_counters_open", "hour", postgresql_where=text("name = 'balance:open' AND count <> 0")),)

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
