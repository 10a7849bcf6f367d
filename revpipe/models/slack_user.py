"""Who a user is in Slack, and which presses of buttons there were seen already."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class SlackUser(Base):
    """The Slack user with a confirmed e-mail, as Slack said when it was last asked; without ids there is none.

    `place` is the direct channel with that user.
    """

    __tablename__ = "slack_users"
    __table_args__ = (Index("ix_slack_users_slack_id", "team_id", "slack_id"),)

    email: Mapped[str] = mapped_column(Text, primary_key=True)
    team_id: Mapped[str | None] = mapped_column(Text)
    slack_id: Mapped[str | None] = mapped_column(Text)
    place: Mapped[str | None] = mapped_column(Text)
    looked_at: Mapped[datetime]


class SlackPress(Base):
    """One request of Slack that was taken in: the same one, sent again, has no effect."""

    __tablename__ = "slack_presses"
    __table_args__ = (Index("ix_slack_presses_pressed_at", "pressed_at"),)

    fingerprint: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    pressed_at: Mapped[datetime]
