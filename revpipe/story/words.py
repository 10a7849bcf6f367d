"""A signal's story in words: times, lengths, subject, change, ending, and what was known of the deal."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

WIDTH: Final = 138
KINDS: Final = ("deal", "account", "contact")
WAITS_FOR_A_PERSON: Final = ("awaiting_approval", "unknown")


def span(seconds: float) -> str:
    """A length of time for people: 13 ms, 4.2 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 0:
        return "-" + span(-seconds)
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    for size, name, part, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {name}" + (f" {rest} {small}" if rest else "")
    return ""


def clock(at: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clip(text: str, width: int = WIDTH) -> str:
    """`text` on one line, runs of white space folded into one blank, at most `width` characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= width else folded[: width - 1] + "…"


def value(given: Any, width: int = 60) -> str:
    """A value as rules see it, short."""
    if isinstance(given, str):
        return clip(given, width)
    return clip(json.dumps(given, default=str, ensure_ascii=False), width)


def part(story: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of the stored context, empty if there is none."""
    parts = story["context"]["parts"] if story["context"] else {}
    return (parts.get(name) or {}).get("value") or {}


def as_it_was(story: Mapping[str, Any], kind: str, at: datetime) -> Mapping[str, Any] | None:
    """The plan or context that was made at a time, if a replay has put a newer one in its place; else the present."""
    former = (one for one in story.get("superseded", ()) if one["kind"] == kind and one["made_at"] == at)
    present: Mapping[str, Any] | None = story[kind]
    return next((one["record"] for one in former), present)


def subject(story: Mapping[str, Any]) -> str:
    """What the signal is about, with its name where that is known; people are shown by id."""
    for kind in KINDS:
        known = part(story, kind)
        found = story["signal"][f"{kind}_id"] or known.get("id")
        if found:
            name = known.get("name") if kind != "contact" else None
            return f"{clip(name, 50)} ({kind} {found})" if name else f"{kind} {found}"
    return "no deal"


def ending(story: Mapping[str, Any]) -> str:
    """How a signal ended and why, or what it waits for."""
    signal = story["signal"]
    if not signal["disposition"]:
        return _waits_for(story)
    reason = str(signal["reason"] or "")
    if signal["disposition"] == "coalesced":
        return f"coalesced into signal {signal.get('coalesced_into')}"
    named, _, rule = reason.partition(":")
    words = f"rule {rule}" if named == "rule" and rule else reason.replace("_", " ")
    return str(signal["disposition"]).replace("_", " ") + (f" ({words})" if words else "")


def _waits_for(story: Mapping[str, Any]) -> str:
    signal, states = story["signal"], [one["state"] for one in story["actions"]]
    if any(state in WAITS_FOR_A_PERSON for state in states):
        return "waits for a person"
    if signal["state"] == "waiting":
        return "under way: its actions have not ended"
    where = f" in {signal['queue']}, due {clock(signal['due_at'])}" if signal["queue"] else ""
    return f"under way: {signal['state']}{where}"


def vendor(circuit: Any) -> str:
    """Whom a circuit `vendor:kind` stands for: hubspot, or slack (history)."""
    name, _, kind = str(circuit).partition(":")
    return name if kind in ("", "default") else f"{name} ({kind})"


def resumed(detail: Mapping[str, Any]) -> str:
    """Why work that had waited for a vendor went on."""
    why = "is asked again by this one" if detail.get("probe") else "answers again"
    tried = f", last tried {span(detail['waited_s'])} ago" if detail.get("waited_s") is not None else ""
    return f"{vendor(detail.get('waits_for'))} {why}{tried}"


def change(signal: Mapping[str, Any]) -> str:
    """What happened, as the payload tells it. What a contact's property became is left out: it is personal."""
    payload = signal["payload"]
    if payload.get("property"):
        shown = "(not shown)" if payload.get("object_type") == "contact" else value(payload.get("new_value"))
        return f"{payload['property']} became {shown}"
    if payload.get("call_id"):
        rivals = ", ".join(payload.get("competitors") or []) or "no competitor"
        return f"call {payload['call_id']} “{value(payload.get('title') or 'untitled')}”, {rivals} named"
    if payload.get("topic"):
        return f"{value(payload.get('domain'))} reads about {value(payload['topic'])}, score {payload.get('score')}"
    return str(signal["event"]).replace("_", " ")


def origin(signal: Mapping[str, Any]) -> str:
    """Who or what caused it, as far as the vendor says."""
    payload = signal["payload"]
    actor = (payload.get("vendor") or {}).get("source_id")
    words = [str(one) for one in (payload.get("change_source"), actor) if one]
    return str(signal["source"]) + (f" ({', '.join(words)})" if words else "")


def known(story: Mapping[str, Any]) -> str:
    """The deal as it was when decided: stage, amount, close date, idle time; empty if no deal was found."""
    deal = part(story, "deal")
    if not deal:
        return ""
    now = story["context"]["created_at"]
    stage, amount = deal.get("stage_label") or deal.get("stage"), deal.get("amount")
    facts = [
        clip(str(deal.get("name") or f"deal {deal.get('id')}"), 50),
        f"stage {stage}" if stage else "",
        f"{amount:,.0f} {deal.get('currency') or ''}".strip() if isinstance(amount, int | float) else "no amount",
        _closes(deal.get("close_date"), now.date()),
        _idle(deal.get("last_activity_at"), now),
    ]
    return " · ".join(fact for fact in facts if fact)


def _closes(text: Any, today: date) -> str:
    at = _moment(text)
    if at is None:
        return "no close date"
    days = (at.date() - today).days
    when = "today" if days == 0 else f"in {days} days" if days > 0 else f"{-days} days overdue"
    return f"closes {at:%Y-%m-%d} ({when})"


def _idle(text: Any, now: datetime) -> str:
    at = _moment(text)
    return "" if at is None else f"idle {max((now - at).days, 0)} days"


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
