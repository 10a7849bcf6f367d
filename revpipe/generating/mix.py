"""What a generated ledger is made of: kinds of signals, their share, and what each kind leaves behind."""

from dataclasses import dataclass
from typing import Final

from config.queues import queue_for

SHARES: Final = {
    "noise": 600,
    "own_write": 120,
    "cooled": 50,
    "acted": 170,
    "approved": 25,
    "rejected": 12,
    "expired": 15,
    "dead_enrich": 5,
    "dead_act": 3,
}
"""Of a thousand signals that have ended: most of a CRM's events ask for nothing, one in five leads to an action."""
OPEN_SHARES: Final = {"due": 500, "parked": 200, "person": 150, "ready": 100, "unknown": 50}
"""Of a thousand open signals."""
ENDINGS: Final = {
    "noise": ("nothing_due", "rule:ordinary-property"),
    "own_write": ("suppressed", "own_write"),
    "cooled": ("suppressed", "cooldown"),
    "acted": ("acted", None),
    "approved": ("acted", None),
    "rejected": ("rejected", "rejected_by_person"),
    "expired": ("expired", "approval_expired"),
    "dead_enrich": ("dead_lettered", "permanent"),
    "dead_act": ("dead_lettered", "permanent"),
}
"""Kind → disposition and reason."""
STANDS: Final = {
    "due": ("received", "enrich"),
    "parked": ("parked", "enrich"),
    "person": ("waiting", None),
    "ready": ("waiting", None),
    "unknown": ("waiting", None),
}
"""Kind of an open signal → its state and stage."""
CIRCUIT: Final = "hubspot:default"
DRAFTS: Final = queue_for("execute", "low", "drafts")


@dataclass(frozen=True, slots=True)
class Act:
    """One action of a kind of signal. `approval` is how its approval stands, None where no person is asked."""

    kind: str
    rule: str
    type: str
    adapter: str
    state: str
    reason: str | None = None
    approval: str | None = None


ACTS: Final = (
    Act("acted", "overdue-close-date", "create_task", "hubspot", "done"),
    Act("acted", "overdue-close-date", "send_alert", "slack", "done"),
    Act("approved", "idle-near-close", "draft_followup", "drafts", "done", None, "approved"),
    Act("cooled", "overdue-close-date", "create_task", "hubspot", "suppressed", "cooldown"),
    Act("rejected", "idle-near-close", "draft_followup", "drafts", "rejected", "rejected_by_person", "rejected"),
    Act("expired", "idle-near-close", "draft_followup", "drafts", "expired", "approval_expired", "expired"),
    Act("dead_act", "overdue-close-date", "create_task", "hubspot", "failed", "permanent"),
    Act("person", "idle-near-close", "draft_followup", "drafts", "awaiting_approval", None, "open"),
    # Of an adapter that only keeps a text: nothing goes out into the world if a worker takes these.
    Act("ready", "idle-near-close", "draft_followup", "drafts", "ready", None, "approved"),
    Act("unknown", "overdue-close-date", "create_task", "hubspot", "unknown", "effect_unknown"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One trail row of a kind of signal, `after_ms` after its receipt; of its action at place `act`, if any."""

    kind: str
    after_ms: int
    what: str
    detail: str
    act: int | None = None


_RECEIVED: Final = '{"event": "deal.property_changed", "lag_s": 1.4, "source": "hubspot", "urgency": "standard"}'
_ENRICHED: Final = (
    '{"parts": {"account": "hubspot", "calls": "ledger", "contact": "hubspot", "deal": "hubspot"}, "attempt": 1,'
    ' "waited_ms": 38, "took_ms": 61, "worker": "generated:1"}'
)
_DECIDED: Final = (
    '{"by": "rules", "fired": ["%s"], "actions": %d, "rules_version": "generated", "attempt": 1, "waited_ms": 14,'
    ' "took_ms": 9, "worker": "generated:1"%s}'
)
_RELEASED: Final = '{"attempt": 1, "waited_ms": 9, "took_ms": 4, "worker": "generated:1"}'
_DONE: Final = '{"type": "%s", "attempt": 1, "waited_ms": 11, "took_ms": 94, "worker": "generated:1"}'
_BURIED: Final = '{"stage": "%s", "attempt": 1, "reason": "permanent", "error": "permanent", "worker": "generated:1"}'
_WAIT: Final = 5_400_000
"""Milliseconds that a person takes for a word."""


def steps() -> list[Step]:
    """The journey of every kind."""
    return [step for kind in (*SHARES, *OPEN_SHARES) for step in _journey(kind)]


def _journey(kind: str) -> list[Step]:
    way = [Step(kind, 0, "received", _RECEIVED)]
    if kind == "own_write":
        return [*way, Step(kind, 0, "suppressed", '{"reason": "own_write"}')]
    if kind == "due":
        return way
    if kind == "parked":
        parked = f'{{"stage": "enrich", "reason": "circuit_open", "waits_for": "{CIRCUIT}", "attempt": 0}}'
        return [*way, Step(kind, 70, "parked", parked)]
    if kind == "dead_enrich":
        return [*way, Step(kind, 100, "buried", _BURIED % "enrich")]
    acts = [one for one in ACTS if one.kind == kind]
    way += [Step(kind, 100, "enriched", _ENRICHED), Step(kind, 130, "decided", _decided(kind, acts))]
    for at, act in enumerate(acts):
        way += _of_action(kind, at, act)
    ending = ENDINGS.get(kind)
    if acts and ending and kind != "cooled":
        way.append(Step(kind, _WAIT + 400, "settled", f'{{"disposition": "{ending[0]}", "after_s": 6.1}}'))
    return way


def _decided(kind: str, acts: list[Act]) -> str:
    ends = kind in ("noise", "cooled")
    rule = acts[0].rule if acts else "ordinary-property"
    return _DECIDED % (rule, len(acts), f', "disposition": "{ENDINGS[kind][0]}"' if ends else "")


def _of_action(kind: str, at: int, act: Act) -> list[Step]:
    named = f'{{"type": "{act.type}", "rule": "{act.rule}", "adapter": "{act.adapter}"}}'
    if act.state == "suppressed":
        return [Step(kind, 131, "suppressed", named, at)]
    way = [Step(kind, 131, "planned", named, at)]
    if at == 0:
        way.append(Step(kind, 140, "released", _RELEASED))
    if act.approval:
        way.append(Step(kind, 141, "approval_requested", '{"expires_h": 4.0}', at))
    if act.approval in ("approved", "rejected", "expired"):
        way.append(Step(kind, 145 if kind == "ready" else _WAIT, act.approval, "{}", at))
    last = {"done": ("done", _DONE % act.type), "failed": ("buried", _BURIED % "act")}
    last["unknown"] = ("unknown", f'{{"type": "{act.type}", "attempt": 1, "reason": "effect_unknown"}}')
    if act.state in last:
        what, detail = last[act.state]
        way.append(Step(kind, _WAIT + 200 if act.approval else 260 + at, what, detail, at))
    return way
