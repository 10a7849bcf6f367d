"""What is final and in no seal yet."""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class Unsealed(Base):
    """One record that waits for its seal, listed by a trigger in the transaction that made the record final."""

    __tablename__ = "unsealed"

    unsealed_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    queued_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
