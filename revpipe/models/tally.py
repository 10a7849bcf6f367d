"""What happened to the balance, one row for each transaction that changed it."""

import uuid
from datetime import datetime

from sqlalchemy import Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Tally(Base):
    """`n` signals that were received in `hour` were accepted, or ended in a disposition; negative takes one back.

    Rows are only added by those who write signals, so that no two of them wait for one row; the keeper folds
    them into `counters`.
    """

    __tablename__ = "tallies"

    tally_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    hour: Mapped[datetime]
    name: Mapped[str] = mapped_column(Text)
    n: Mapped[int] = mapped_column(Integer)
