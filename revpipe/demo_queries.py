"""What the demo shows of the ledger, as plain values."""

import uuid
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import queries

WAITS_FOR_A_PERSON: Final = ("awaiting_approval", "unknown")


def of_delivery(tx: Connection, delivery_id: str) -> list[dict[str, Any]]:
    """The stories of the signals that one delivery brought, in their order."""
    ids = tx.execute(
        text("SELECT signal_id FROM signals WHERE delivery_id = :id ORDER BY fired_at, signal_id"), {"id": delivery_id}
    ).scalars()
    return [queries.story(tx, signal_id) for signal_id in list(ids)]


def at_rest(story: dict[str, Any]) -> bool:
    """Whether a signal has ended, or nothing moves before a person has spoken."""
    if story["signal"]["state"] == "done":
        return True
    moving = [one for one in story["actions"] if one["state"] in ("planned", "ready", "running")]
    return story["signal"]["state"] == "waiting" and not moving


def journey(story: dict[str, Any]) -> list[str]:
    """A signal's way in a few lines: what it was, who decided, what was done."""
    signal = story["signal"]
    lines = [f"{signal['event']} → {ending(story)}"]
    for action in story["actions"]:
        title = action["params"].get("subject") or action["params"].get("title") or ""
        lines.append(f"  {action['type']} {action['state']} by rule {action['rule_id']}: {title}")
    return lines


def ending(story: dict[str, Any]) -> str:
    """How a signal ended, or what it waits for."""
    signal = story["signal"]
    if signal["disposition"]:
        reason = f" ({signal['reason']})" if signal["reason"] else ""
        return str(signal["disposition"]).replace("_", " ") + reason
    if any(one["state"] in WAITS_FOR_A_PERSON for one in story["actions"]):
        return "waits for a person"
    return f"under way: {signal['state']}"


def table(tx: Connection) -> list[tuple[str, ...]]:
    """A row for each signal: event, subject, who decided, outcome, actions, time from firing to its last action."""
    ids = tx.execute(text("SELECT signal_id FROM signals ORDER BY received_at, fired_at, signal_id")).scalars()
    return [_row(queries.story(tx, signal_id)) for signal_id in list(ids)]


def worth_tracing(tx: Connection) -> uuid.UUID | None:
    """The signal whose deal got a task."""
    found = tx.execute(
        text(
            "SELECT signal_id FROM actions WHERE type = 'create_task' AND state = 'done' ORDER BY done_at DESC LIMIT 1"
        )
    ).scalar()
    return found if found is None else uuid.UUID(str(found))


def _row(story: dict[str, Any]) -> tuple[str, ...]:
    signal = story["signal"]
    actions = [f"{one['type']}: {one['state'].replace('_', ' ')}" for one in story["actions"]]
    fired = story["plan"]["why"]["fired"] if story["plan"] else []
    by = ", ".join(fired) if fired else (story["plan"]["decided_by"] if story["plan"] else "-")
    about = next((f"{kind} {signal[kind + '_id']}" for kind in ("deal", "account", "contact") if signal[kind + "_id"]), "-")
    ends = [one["done_at"] for one in story["actions"] if one["state"] == "done"]
    after = f"{(max(ends) - signal['fired_at']).total_seconds():.1f} s" if ends else ""
    return signal["event"], about, by, ending(story), "\n".join(actions), after
