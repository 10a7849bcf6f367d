"""How often somebody lately tried to sign in by password."""

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class SignInTry(Base):
    """Tries against one account or from one address since `since`; `key` is a hash of it, never itself."""

    __tablename__ = "sign_in_tries"
    __table_args__ = (Index("ix_sign_in_tries_since", "since"),)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    since: Mapped[datetime]
    tries: Mapped[int] = mapped_column(Integer)
