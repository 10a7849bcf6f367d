"""Letting an action go to its adapter's queue."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from config.queues import queue_for
from revpipe import work
from revpipe.work import ACTIONS


def make_ready(tx: Connection, action: Mapping[str, Any], now: datetime) -> str:
    """Let an action be carried out as soon as its adapter's queue has room; returns that queue."""
    queue = queue_for("execute", action["priority"], action["adapter"])
    work.move(tx, ACTIONS, [action["action_id"]], {"state": "ready", "queue": queue, "due_at": now, "sent_at": None})
    return queue
