"""The columns that make a row a piece of work: where it waits, whether it was sent, who holds it."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column


class WorkItem:
    """Mixed into tables whose rows travel through the queues.

    `queue` is null when nothing is to be done. Due: `sent_at` is null and `due_at` has come. Sent: `sent_at`
    is set and a message with `send_no` names the row. Claimed: `claim_id` is set until `lease_until`. Parked for a
    vendor: `waits_for` names its circuit. `deaths` counts how often a worker died with this row in quarantine.
    """

    queue: Mapped[str | None] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    sent_at: Mapped[datetime | None]
    send_no: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    claim_id: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    tried_at: Mapped[datetime | None]
    worker: Mapped[str | None] = mapped_column(Text)
    deaths: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    waits_for: Mapped[str | None] = mapped_column(Text)
