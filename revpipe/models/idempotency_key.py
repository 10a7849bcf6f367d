"""Answers that were given to requests with a key, so that the same request can be sent again safely."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class IdempotencyKey(Base):
    """One request, by who sent it and the key that they gave it.

    `fingerprint` is the hash of all that the request asks for. Until its answer is there, `claim_id` holds it up to
    `busy_until`. `answer` has status, headers and body; after `expires_at` the key may be used anew.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_expires", "expires_at"),)

    sender: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Text)
    claim_id: Mapped[uuid.UUID]
    busy_until: Mapped[datetime]
    expires_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
