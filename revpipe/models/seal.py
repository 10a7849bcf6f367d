"""The chain of seals over what was decided."""

from datetime import datetime

from sqlalchemy import BigInteger, Integer, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class SealRow(Base):
    """One seal: the digests of some records, and the hash of the seal before it. Append-only, as the trail is.

    `entries` has a line of JSON for each record, `digest` is over them, `hash` over all but the entries
    (docs/audit.md). `first_at` and `last_at` bound the records' own times.
    """

    __tablename__ = "seals"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    format: Mapped[int] = mapped_column(SmallInteger)
    made_at: Mapped[datetime]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    count: Mapped[int] = mapped_column(Integer)
    digest: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)
    entries: Mapped[str] = mapped_column(Text)
