"""Links that sign a person in once."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class SignInLink(Base):
    """One link. Only the SHA-256 of its token is kept; `made_by` is who asked for it."""

    __tablename__ = "sign_in_links"
    __table_args__ = (Index("ix_sign_in_links_user_id", "user_id"), Index("ix_sign_in_links_expires_at", "expires_at"))

    link_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    link_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.user_id"))
    made_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
