"""Tasks: those still open on a deal, and how one of ours is written so that it can be found again."""

import html
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from adapters.hubspot.answers import Record
from adapters.hubspot.values import iso, text
from revpipe.ports import Order

PROPERTIES: Final = ("hs_task_subject", "hs_task_type", "hs_task_status", "hs_timestamp", "hubspot_owner_id")
BODY: Final = "hs_task_body"
MAX_OPEN: Final = 100
"""How many of a deal's tasks, newest first, are looked at for open ones."""
MAX_BODY: Final = 65_000
"""HTML characters of a body; HubSpot's documented limit for such texts is 65,536, the marker included."""
TARGETS: Final = {"deal_id": ("deals", 216), "account_id": ("companies", 192), "contact_id": ("contacts", 204)}
"""What a task can hang on: object type, and the id of the association from the task (HubSpot docs, tasks)."""


def open_tasks(tasks: Iterable[Record]) -> list[dict[str, Any]]:
    """The tasks that are not completed, the next due first; one without a due date comes last."""
    still_open = [task for task in tasks if task.properties.get("hs_task_status") != "COMPLETED"]
    values = [_value(task) for task in still_open]
    return sorted(values, key=lambda value: (value["due_at"] is None, value["due_at"] or "", value["id"]))


def marker(order: Order) -> str:
    """The text by which a task is known to be this order's."""
    return f"[revpipe {order.key}]"


def body_html(body: str) -> str:
    """A body as HubSpot renders it: whatever a user or a buyer wrote is text, never markup."""
    return html.escape(body.strip()).replace("\r\n", "\n").replace("\n", "<br>")


def due_at(created_at: datetime, days: int) -> datetime:
    """17:00 UTC so many days after; when that is past or falls on a weekend, 17:00 of the next working day.

    It follows from the order alone, so that a second try asks for the same.
    """
    due = (created_at.astimezone(UTC) + timedelta(days=days)).replace(hour=17, minute=0, second=0, microsecond=0)
    while due <= created_at or due.weekday() >= 5:
        due += timedelta(days=1)
    return due


def creation(order: Order) -> dict[str, Any]:
    """The request body for an order's task; the same for each try (SimplePublicObjectInputForCreate)."""
    params = order.params
    due = due_at(order.created_at, params.get("due_in_days", 1))
    written = body_html(params.get("body") or "")
    properties = {
        "hs_timestamp": iso(due),
        "hs_task_subject": " ".join(params["subject"].split()),
        BODY: f"{written}<br>{marker(order)}" if written else marker(order),
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": params.get("priority", "MEDIUM"),
        "hs_task_type": params.get("task_type", "TODO"),
    }
    if params.get("owner_id"):
        properties["hubspot_owner_id"] = params["owner_id"]
    return {"properties": properties, "associations": [_association(*target) for target in targets(order)]}


def targets(order: Order) -> list[tuple[str, str]]:
    """What the task hangs on, as (parameter, id): what the params name, else what the action is about."""
    named = [(name, order.params.get(name) or getattr(order, name)) for name in TARGETS]
    return [(name, record_id) for name, record_id in named if record_id]


def _association(name: str, record_id: str) -> dict[str, Any]:
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": TARGETS[name][1]}
    return {"to": {"id": record_id}, "types": [kind]}


def _value(task: Record) -> dict[str, Any]:
    told = task.properties.get
    return {
        "id": task.id,
        "subject": text(told("hs_task_subject")),
        "type": text(told("hs_task_type")),
        "due_at": iso(told("hs_timestamp")),
        "owner_id": text(told("hubspot_owner_id")),
    }
