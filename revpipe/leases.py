"""Duties that one process at a time has, by a row in the ledger."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text


def hold(tx: Connection, duty: str, holder: str, lasts: timedelta, now: datetime) -> bool:
    """Take the duty, or keep it; False while another process has it."""
    taken = tx.execute(
        text(
            "INSERT INTO leases (duty, holder, until, round_at) VALUES (:duty, :holder, :until, :now)"
            " ON CONFLICT (duty) DO UPDATE SET holder = :holder, until = :until, round_at = :now"
            " WHERE leases.holder = :holder OR leases.until < :now RETURNING holder"
        ),
        {"duty": duty, "holder": holder, "until": now + lasts, "now": now},
    ).scalar()
    return taken == holder


def release(tx: Connection, duty: str, holder: str, now: datetime) -> None:
    """Give the duty up at once, so that another need not wait."""
    tx.execute(
        text("UPDATE leases SET until = :now WHERE duty = :duty AND holder = :holder"),
        {"now": now - timedelta(seconds=1), "duty": duty, "holder": holder},
    )


def state(tx: Connection, duty: str) -> dict[str, Any] | None:
    """Who has the duty, until when, and when its last round began."""
    row = tx.execute(text("SELECT * FROM leases WHERE duty = :duty"), {"duty": duty}).mappings().first()
    return dict(row) if row else None


def set_epoch(tx: Connection, duty: str, epoch: str) -> None:
    """Remember the broker's life that this duty has seen."""
    tx.execute(text("UPDATE leases SET epoch = :epoch WHERE duty = :duty"), {"epoch": epoch, "duty": duty})
