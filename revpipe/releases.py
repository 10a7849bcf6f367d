"""Letting actions go to their adapters' queues."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from config.queues import queue_for
from revpipe import work
from revpipe.work import ACTIONS


def make_ready(tx: Connection, actions: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """Let actions be carried out as soon as their adapters' queues have room; returns these queues."""
    queues: dict[str, list[uuid.UUID]] = {}
    for action in actions:
        queues.setdefault(queue_for("execute", action["priority"], action["adapter"]), []).append(action["action_id"])
    for queue, ids in queues.items():
        work.move(tx, ACTIONS, ids, {"state": "ready", "queue": queue, "due_at": now, "sent_at": None})
    return list(queues)
