"""What language models may still cost today."""

from datetime import date

from sqlalchemy import BigInteger, Date, Double
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class LlmDay(Base):
    """A day in UTC: what was spent, and what is set aside for questions whose answers are not yet known.

    A question whose worker died stays in it as it was set aside: it may have been answered, and paid for.
    """

    __tablename__ = "llm_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger)
    usd: Mapped[float] = mapped_column(Double)
