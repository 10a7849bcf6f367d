"""What the demo shows of the ledger, as plain values."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import queries
from revpipe.story import actions as story_actions
from revpipe.story.words import KINDS, clip, ending, part, span

CALLED: Final = {
    "create_task": "task",
    "send_alert": "alert",
    "draft_followup": "draft",
    "update_crm": "CRM update",
}
STATES: Final = {"awaiting_approval": "waits"}


def of_delivery(tx: Connection, delivery_id: str) -> list[dict[str, Any]]:
    """The stories of the signals that one delivery brought, in their order."""
    ids = tx.execute(
        text("SELECT signal_id FROM signals WHERE delivery_id = :id ORDER BY fired_at, signal_id"), {"id": delivery_id}
    ).scalars()
    return [queries.story(tx, signal_id) for signal_id in list(ids)]


def refused(tx: Connection, delivery_id: str) -> list[str]:
    """Why parts of a delivery became dead letters, one line each."""
    rows = tx.execute(
        text("SELECT reason, error FROM dead_letters WHERE delivery_id = :id AND stage = 'ingest' ORDER BY letter_id"),
        {"id": delivery_id},
    )
    return [f"dead letter ({row.reason}): {clip(row.error.splitlines()[0], 90)}" for row in rows]


def open_letters(tx: Connection) -> int:
    """How many dead letters are open."""
    return int(tx.execute(text("SELECT count(*) FROM dead_letters WHERE state = 'open'")).scalar() or 0)


def at_rest(story: Mapping[str, Any]) -> bool:
    """Whether a signal has ended, or nothing moves before a person has spoken."""
    if story["signal"]["state"] == "done":
        return True
    resting = [one["state"] not in ("planned", "ready", "running") for one in story["actions"]]
    return bool(story["signal"]["state"] == "waiting" and all(resting))


def journey(story: Mapping[str, Any]) -> list[str]:
    """A signal's way in a few lines: what it was, how it ended, what was done by which rule and when."""
    lines = [f"{story['signal']['event']} → {ending(story)}"]
    for action in _in_order(story):
        after = f" after {_after(story, action)}" if _after(story, action) else ""
        by = f" by rule {action['rule_id']}" if action["state"] != "suppressed" else ""
        lines.append(f"  {_called(action)}{after}{by}: {story_actions.title(action)}")
    return lines


def table(tx: Connection) -> list[tuple[str, ...]]:
    """A row for each signal: event, deal, decided by, outcome, actions, time from firing to its last effect."""
    ids = tx.execute(text("SELECT signal_id FROM signals ORDER BY received_at, fired_at, signal_id")).scalars()
    stories = [queries.story(tx, signal_id) for signal_id in list(ids)]
    return [_row(story, _names(stories)) for story in stories]


def worth_tracing(tx: Connection) -> uuid.UUID | None:
    """The signal that led to the most kinds of action, among those whose deal got a task."""
    found = tx.execute(
        text(
            "SELECT signal_id FROM actions WHERE state IN ('done', 'awaiting_approval') GROUP BY signal_id"
            " HAVING bool_or(type = 'create_task') ORDER BY count(DISTINCT type) DESC, max(created_at) DESC LIMIT 1"
        )
    ).scalar()
    return found if found is None else uuid.UUID(str(found))


def _names(stories: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """What records are called, as far as any signal's context tells."""
    return {
        (kind, str(known["id"])): str(known["name"])
        for story in stories
        for kind in ("deal", "account")
        if (known := part(story, kind)) and known.get("id") and known.get("name")
    }


def _about(story: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> str:
    for kind in KINDS:
        found = story["signal"][f"{kind}_id"] or part(story, kind).get("id")
        if found:
            return names.get((kind, str(found)), f"{kind} {found}")
    return "-"


def _row(story: Mapping[str, Any], names: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    plan = story["plan"]
    fired = plan["why"].get("fired", []) if plan else []
    asked = plan["why"].get("llm", {}) if plan else {}
    deciders = [*fired, asked["model"]] if asked.get("by") == "llm" else fired
    by = "\n".join(deciders) or ("no rule fired" if plan else "-")
    actions = "\n".join(_called(one) for one in _in_order(story))
    ends = [one for one in story["actions"] if one["state"] == "done"]
    after = _after(story, max(ends, key=lambda one: one["done_at"])) if ends else ""
    # Which rule or why is told by its own column and by the journey above the table.
    outcome = ending(story) if not plan else ending(story).split(" (")[0]
    return (
        str(story["signal"]["event"]).replace(".", " ").replace("_", " "),
        _about(story, names),
        by,
        outcome,
        actions,
        after,
    )


def _in_order(story: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """By kind, as people would tell it: the task, the alert, the draft."""
    kinds = list(CALLED)
    return sorted(story["actions"], key=lambda one: kinds.index(one["type"]) if one["type"] in kinds else len(kinds))


def _called(action: Mapping[str, Any]) -> str:
    state = STATES.get(action["state"], action["state"].replace("_", " "))
    return f"{CALLED.get(action['type'], action['type'])} {state}"


def _after(story: Mapping[str, Any], action: Mapping[str, Any]) -> str:
    if action["state"] != "done":
        return ""
    return span((action["done_at"] - story["signal"]["fired_at"]).total_seconds())
