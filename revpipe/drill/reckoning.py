"""What was sent, what the ledger says of it and what the vendors saw, held against each other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from revpipe.models.action import OPEN
from revpipe.models.signal import DISPOSITIONS

Row = Mapping[str, Any]
KEYED: Final = {"create_task": "tasks.create", "send_alert": "message"}
"""Types of action whose effect bears the action's key, and how the sandbox calls that effect."""
BUSY: Final = ("planned", "ready", "running")
NEVER: Final = ("failed", "rejected", "expired", "cancelled", "suppressed")
"""States in which the ledger says that there was no effect."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Reckoning:
    """The count of one rehearsal. `lost` and `doubled` say in a sentence each what is wrong."""

    sent: int
    accepted: int
    dispositions: dict[str, int]
    in_flight: int
    unknown: int
    effects: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether nothing was lost or doubled, and nothing is left to be done."""
        return not (self.lost or self.doubled or self.in_flight)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end: names of events sent and taken, rows of the ledger, effects at the vendors.

    `still` says that nothing moved any more: whatever is open then without a reason will stay so for ever.
    """

    sent: frozenset[str]
    taken: frozenset[str]
    signals: Sequence[Row]
    actions: Sequence[Row]
    effects: Sequence[Row]
    still: bool = False
    requests: Sequence[Row] = ()
    """Requests for approval that went to Slack."""


def reckon(found: Evidence) -> Reckoning:
    """Count, and name whatever does not add up."""
    actions = defaultdict(list)
    for action in found.actions:
        actions[action["signal_id"]].append(action)
    open_ = [one for one in found.signals if one["state"] != "done"]
    unknown = [one for one in open_ if _waits_for_a_person(actions[one["signal_id"]])]
    names = {one["signal_id"] for one in unknown}
    moving = [one for one in open_ if one["signal_id"] not in names]
    counted = Counter(one["disposition"] for one in found.signals if one["disposition"])
    return Reckoning(
        sent=len(found.sent),
        accepted=len(found.taken),
        dispositions={name: counted[name] for name in DISPOSITIONS},
        in_flight=len(moving),
        unknown=len(unknown),
        effects=len(found.effects),
        lost=[*_without_signal(found), *_stuck(moving, found), *_endless(found), *_without_effect(found)],
        doubled=[
            *_signals_doubled(found),
            *_actions_doubled(found.actions),
            *_effects_doubled(found.effects),
            *_requests_doubled(found.effects),
        ],
    )


def name_of(signal: Row) -> str:
    """How the sender calls the event that a signal was made from."""
    if signal["source"] == "gong":
        return f"gong:{signal['call_id']}:{signal['deal_id']}"
    millis = (signal["fired_at"] - _EPOCH) // timedelta(milliseconds=1)
    return f"{signal['source']}:{signal['event_id']}:{signal['object_id']}:{millis}"


def _waits_for_a_person(actions: Iterable[Row]) -> bool:
    states = {one["state"] for one in actions}
    return "unknown" in states and not states & set(BUSY)


def _without_signal(found: Evidence) -> list[str]:
    known = {name_of(one) for one in found.signals}
    return [f"event {name} was accepted and has no signal" for name in sorted(found.taken - known)]


def _stuck(moving: Sequence[Row], found: Evidence) -> list[str]:
    if not found.still:
        return []
    return [f"signal {one['signal_id']} is {one['state']} before {one['stage']} and never moves" for one in moving]


def _endless(found: Evidence) -> list[str]:
    """Actions that go on although their signal has ended: nobody would look for them."""
    ended = {one["signal_id"] for one in found.signals if one["state"] == "done"}
    left = [one for one in found.actions if one["state"] in OPEN and one["signal_id"] in ended]
    return [f"action {one['action_id']} is {one['state']} though its signal has ended" for one in left]


def _without_effect(found: Evidence) -> list[str]:
    done = Counter(_key(one) for one in found.effects)
    lost = []
    for action in found.actions:
        key = action["action_id"].hex
        if action["state"] == "done" and not _happened(action, done, found.effects):
            lost.append(f"action {action['action_id']} ({action['type']}) is done and had no effect")
        if action["state"] in NEVER and done[key]:
            lost.append(f"action {action['action_id']} ({action['type']}) is {action['state']} and had its effect")
    known = {one["action_id"].hex for one in found.actions} | {str(one["request_id"]) for one in found.requests}
    keyed = [one for one in found.effects if one["kind"] in KEYED.values()]
    strange = [one for one in keyed if _key(one) not in known and _request(one) not in known]
    return lost + [f"the ledger knows nothing of {one['vendor']} {one['kind']} {one['id']}" for one in strange]


def _happened(action: Row, done: Mapping[str, int], effects: Sequence[Row]) -> bool:
    if action["type"] in KEYED:
        return done[action["action_id"].hex] > 0
    if action["type"] == "update_crm":
        wanted = action["params"]
        return any(
            one["id"] == str(wanted["id"]) and one["body"].get("properties") == wanted["properties"] for one in effects
        )
    return True


def _signals_doubled(found: Evidence) -> list[str]:
    times = Counter(name_of(one) for one in found.signals)
    more = [f"event {name} has {count} signals" for name, count in sorted(times.items()) if count > 1]
    return more + [f"signal {name} was made of nothing that was sent" for name in sorted(set(times) - found.sent)]


def _actions_doubled(actions: Sequence[Row]) -> list[str]:
    alive = [one for one in actions if one["state"] == "done" or one["state"] in OPEN]
    times = Counter((one["signal_id"], one["rule_id"], one["type"]) for one in alive)
    return [
        f"signal {signal} has {count} actions {kind} of rule {rule}"
        for (signal, rule, kind), count in times.items()
        if count > 1
    ]


def _effects_doubled(effects: Sequence[Row]) -> list[str]:
    times = Counter((one["vendor"], one["kind"], _key(one)) for one in effects if one["kind"] in KEYED.values())
    return [
        f"action {key} had its effect {count} times ({kind})" for (_, kind, key), count in times.items() if count > 1
    ]


def _requests_doubled(effects: Sequence[Row]) -> list[str]:
    times = Counter(name for one in effects if (name := _request(one)) is not None)
    return [f"request {name} was posted {count} times" for name, count in times.items() if count > 1]


def _request(effect: Row) -> str | None:
    """The request for approval that a message in Slack is, None if it is none."""
    if effect["kind"] != KEYED["send_alert"]:
        return None
    payload = (effect["body"].get("metadata") or {}).get("event_payload") or {}
    return payload.get("key")


def _key(effect: Row) -> str:
    return str(effect["marker"] or f"{effect['kind']} {effect['id']}")
