"""A signal's story as a tree of lines for people: what came, what was known, who decided why, what was done."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

HIDDEN: Final = (
    "worker",
    "parts",
    "actions",
    "rules_version",
    "fired",
    "by",
    "disposition",
    "delivery_id",
    "source",
)


def lines(story: Mapping[str, Any]) -> list[str]:
    """The tree, top down in time."""
    return list(_tree(story))


def _tree(story: Mapping[str, Any]) -> Iterator[str]:
    signal = story["signal"]
    start = signal["fired_at"]
    end = signal["disposition"] or f"open: {signal['state']}"
    yield f"{signal['event']} from {signal['source']} · {_subject(signal)} · {end}{_reason(signal)}"
    yield f"  signal {signal['signal_id']} · correlation {signal['correlation_id']}"
    yield f"  fired {start:%Y-%m-%d %H:%M:%S} UTC · priority {signal['priority']}{_change(signal['payload'])}"
    for row in story["trail"]:
        yield f"  {_offset(row['at'], start):>9}  {row['what']:<18} {_detail(row)}".rstrip()
        if row["what"] == "decided":
            yield from _decision(story["plan"])
        if row["what"] in ("planned", "suppressed") and row["action_id"]:
            yield from _action(row["action_id"], story["actions"])
    for letter in story["dead_letters"]:
        yield f"  dead letter {letter['letter_id']}: {letter['reason']}: {letter['error'].splitlines()[0][:90]}"


def _subject(signal: Mapping[str, Any]) -> str:
    for kind in ("deal", "account", "contact"):
        if signal[f"{kind}_id"]:
            return f"{kind} {signal[f'{kind}_id']}"
    return "no deal"


def _reason(signal: Mapping[str, Any]) -> str:
    return f" ({signal['reason']})" if signal["reason"] else ""


def _change(payload: Mapping[str, Any]) -> str:
    if "property" in payload:
        return f" · {payload['property']} = {str(payload.get('new_value'))[:40]}"
    if payload.get("competitors"):
        return f" · competitors heard: {', '.join(payload['competitors'])[:60]}"
    return ""


def _offset(at: datetime, start: datetime) -> str:
    seconds = (at - start).total_seconds()
    if abs(seconds) < 120:
        return f"+{seconds:.2f}s"
    if abs(seconds) < 7200:
        return f"+{seconds / 60:.0f}min"
    return f"+{seconds / 86400:.1f}d"


def _detail(row: Mapping[str, Any]) -> str:
    detail = row["detail"]
    words = []
    if "parts" in detail:
        words.append(", ".join(f"{name}: {source}" for name, source in detail["parts"].items()))
    words += [
        f"{name} {_short(value)}" for name, value in detail.items() if name not in HIDDEN and value is not None
    ]
    return " · ".join(words)


def _short(value: Any) -> str:
    return " → ".join(map(str, value)) if isinstance(value, list) else str(value)


def _decision(plan: Mapping[str, Any] | None) -> Iterator[str]:
    if plan is None:
        return
    fired = [one for one in plan["why"].get("rules", []) if one.get("fired")]
    by = f"{plan['decided_by']}, version {plan['rules_version']}"
    yield f"             by {by}" + ("" if fired else ": no rule fired")
    for rule in fired:
        yield f"             rule {rule['rule']}"
        for term in rule.get("terms", []):
            values = ", ".join(f"{name} = {_bounded(value)}" for name, value in term.get("values", {}).items())
            yield f"               because {term['expression']}" + (f"   ({values})" if values else "")


def _bounded(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _action(action_id: Any, actions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for action in actions:
        if action["action_id"] == action_id:
            title = action["params"].get("subject") or action["params"].get("title") or ""
            yield f"             action {action_id}: {action['state']}" + (f" · “{title[:70]}”" if title else "")
