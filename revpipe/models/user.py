"""People who may look and decide."""

import uuid
from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

ROLES = ("viewer", "rep", "operator", "admin")


class User(Base):
    """One person. `email` is lower case; `owner_id` is who they are in the CRM; `stand_in` may act in their place.

    `password_hash` is None for one who signs in by a provider or by links only.
    """

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(f"role IN {ROLES!r}", name="role"),
        CheckConstraint("email = lower(email)", name="email"),
        Index("uq_users_owner_id", "owner_id", unique=True, postgresql_where=text("owner_id IS NOT NULL AND active")),
        Index("ix_users_stand_in", "stand_in"),
    )

    user_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[str | None] = mapped_column(Text)
    stand_in: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.user_id"))
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    password_hash: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
