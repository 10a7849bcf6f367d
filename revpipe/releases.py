"""Letting actions go to their adapters' queues."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from config.queues import RECHECK, queue_for
from revpipe import work
from revpipe.work import ACTIONS


def make_ready(tx: Connection, actions: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """Let actions be carried out as soon as their adapters' queues have room; returns these queues."""
    named = [(queue_for("execute", one["priority"], one["adapter"]), one["action_id"]) for one in actions]
    return _move(tx, named, {"state": "ready", "due_at": now, "sent_at": None, "reason": None})


def to_recheck(tx: Connection, actions: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """Let approved actions have their facts looked at once more, after which they go out; returns these queues."""
    named = [(queue_for(RECHECK, one["priority"]), one["action_id"]) for one in actions]
    return _move(tx, named, {"state": "ready", "due_at": now, "sent_at": None, "released_at": now})


def _move(tx: Connection, named: Iterable[tuple[str, uuid.UUID]], values: Mapping[str, Any]) -> list[str]:
    queues: dict[str, list[uuid.UUID]] = {}
    for queue, action_id in named:
        queues.setdefault(queue, []).append(action_id)
    for queue, ids in queues.items():
        work.move(tx, ACTIONS, ids, {**values, "queue": queue})
    return list(queues)
