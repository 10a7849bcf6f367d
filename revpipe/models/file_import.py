"""Files that were sent in, one row each."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base

STATES = ("running", "done", "refused", "broken")


class FileImport(Base):
    """One file: how far it came, and what became of its rows.

    Its deliveries and signals have `import_id` for their correlation. `rows` is the sum of accepted, duplicates,
    rejected and of what `ignored` counts by reason. `refused` is the file's own fault, `broken` anything else; one
    that is `running` although `touched_at` is long ago lost its process. Each is mended by sending the file again.
    """

    __tablename__ = "imports"
    __table_args__ = (
        CheckConstraint(f"state IN {STATES!r}", name="state"),
        Index("ix_imports_began", "began_at"),
    )

    import_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default=text("'running'"))
    reason: Mapped[str | None] = mapped_column(Text)
    deliveries: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    rows: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    accepted: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    duplicates: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    rejected: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    ignored: Mapped[dict[str, Any]]
    began_at: Mapped[datetime]
    touched_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
