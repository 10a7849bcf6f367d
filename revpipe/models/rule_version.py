"""Every version of the rules that ever decided something, so that old plans stay readable."""

from datetime import datetime

from sqlalchemy import Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class RuleVersion(Base):
    """A rules file by the hash of its content."""

    __tablename__ = "rule_versions"

    version: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    first_seen_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
