"""When each subject was last decided: what follows within the quiet period from then on is gathered."""

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class QuietPeriod(Base):
    """One subject, as `kind:id`. A row that is gone costs one decision more, and nothing else."""

    __tablename__ = "quiet_periods"

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    began_at: Mapped[datetime]
