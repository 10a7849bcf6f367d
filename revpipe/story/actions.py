"""A story's actions as lines: state, title, whose word was needed, effect at the vendor, who stood in the way."""

from collections.abc import Iterator, Mapping
from typing import Any

from revpipe.story.words import clip, clock, span


def lines(story: Mapping[str, Any]) -> Iterator[str]:
    """Two lines for each action."""
    words = {one["action_id"]: one for one in story["approvals"]}
    for action in story["actions"]:
        state = action["state"].replace("_", " ")
        name = title(action)
        yield f"{action['type']:<15} {state:<17} {action['action_id']}" + (f"  “{clip(name, 58)}”" if name else "")
        facts = [f"rule {action['rule_id']}", *_approval(words.get(action["action_id"])), *_end(story, action)]
        yield "  " + " · ".join(facts)


def title(action: Mapping[str, Any]) -> str:
    """What people would call the action."""
    return str(action["params"].get("subject") or action["params"].get("title") or "")


def label(story: Mapping[str, Any], action_id: Any) -> str:
    """An action by its type, and by the start of its id where the story has several of that type."""
    types = [one["type"] for one in story["actions"]]
    for action in story["actions"]:
        if action["action_id"] == action_id:
            several = types.count(action["type"]) > 1
            return f"{action['type']} {str(action_id)[:8]}" if several else str(action["type"])
    return f"action {str(action_id)[:8]}"


def said(approval: Mapping[str, Any] | None) -> str:
    """Who gave which word on an action, and why; empty while nobody has."""
    if approval is None or approval["decided_at"] is None:
        return ""
    why = f": {clip(approval['reason'], 50)}" if approval.get("reason") else ""
    who = approval["decided_by"] or "policy"
    way = f" ({approval['way']})" if approval.get("way") not in (None, who) else ""
    return f"by {who}{way}{why}"


def _approval(approval: Mapping[str, Any] | None) -> Iterator[str]:
    if approval is None:
        return
    word = said(approval)
    if word:
        yield f"{approval['state']} {word} at {clock(approval['decided_at'])}"
    else:
        yield f"a person must decide by {clock(approval['expires_at'])}"


def _end(story: Mapping[str, Any], action: Mapping[str, Any]) -> Iterator[str]:
    effect = action["effect"] or {}
    if effect:
        yield f"{action['adapter']} {effect.get('external_id') or 'keeps it'}"
        if effect.get("url"):
            yield str(effect["url"])
    if action["suppressed_by"]:
        yield f"{str(action['reason']).replace('_', ' ')}: action {action['suppressed_by']} wins"
    elif action["reason"]:
        yield str(action["reason"]).replace("_", " ")
    if action["state"] in ("ready", "running") and action["queue"]:
        yield f"in {action['queue']}, due {clock(action['due_at'])}"
    if action["done_at"] and effect:
        yield f"{span((action['done_at'] - story['signal']['fired_at']).total_seconds())} after firing"
