"""The last computed balance, for those who only want to look at it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Balance(Base):
    """What the keeper found at `at`: sums, open signals by class, and what is off. One row, named `last`."""

    __tablename__ = "balances"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[datetime]
    found: Mapped[dict[str, Any]]
