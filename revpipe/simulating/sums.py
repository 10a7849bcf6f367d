"""What a simulation counts. Counts of parts add up to those of the whole."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from revpipe.simulating.judge import KINDS, Verdict


@dataclass(slots=True)
class Sums:
    """Counts by what they count: ("kind", kind), ("action", rule, type), ("day", day, what) and so on."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count one decision."""
        counts, decision = self.counts, verdict.decision
        day, kind = f"{verdict.at:%Y-%m-%d}", verdict.kind
        counts["kind", kind] += 1
        counts["event", decision.case.signal.event, kind] += 1
        counts["day", day, kind] += 1
        if kind == "nothing_due":
            counts["nothing_due", decision.evaluation.fired[0]] += 1
        for action in decision.actions:
            rule, type_ = action["rule_id"], action["type"]
            if action["state"] != "planned":
                counts["suppressed", rule, type_, str(action["reason"])] += 1
                continue
            counts["action", rule, type_] += 1
            counts["day", day, "actions"] += 1
            if action["action_id"] in verdict.asks:
                counts["approval", rule, type_] += 1
                counts["day", day, "approvals"] += 1

    def merge(self, other: "Sums") -> None:
        """Add the counts of another part."""
        self.counts.update(other.counts)

    def total(self, *start: str) -> int:
        """The sum of all counts whose key begins so."""
        return sum(found for key, found in self.counts.items() if key[: len(start)] == start)

    def by(self, *start: str) -> dict[str, int]:
        """Counts by the word that follows `start`, the largest first."""
        found: Counter[str] = Counter()
        for key, count in self.counts.items():
            if key[: len(start)] == start:
                found[key[len(start)]] += count
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    @property
    def signals(self) -> int:
        """How many signals were decided."""
        return self.total("kind")

    @property
    def left_open(self) -> int:
        """How many the rules leave to the LLM."""
        return self.counts["kind", "left_open"]

    @property
    def share(self) -> float | None:
        """The share of signals that rules decide, "nothing is due" included; None if there was no signal."""
        return 1 - self.left_open / self.signals if self.signals else None

    def actions(self) -> list[dict[str, Any]]:
        """One record for each rule and type of action."""
        keys = sorted({key[1:3] for key in self.counts if key[0] in ("action", "suppressed")})
        return [
            {
                "rule": rule,
                "type": type_,
                "planned": self.counts["action", rule, type_],
                "approvals": self.counts["approval", rule, type_],
                "suppressed": self.by("suppressed", rule, type_),
            }
            for rule, type_ in keys
        ]

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON."""
        events = {event: _kinds(self.by("event", event)) for event in self.by("event")}
        return {
            "signals": self.signals,
            "decisions": _kinds(self.by("kind")),
            "share": {"rules": self.share, "llm": None if self.share is None else 1 - self.share},
            "actions": self.actions(),
            "totals": {
                "actions": self.total("action"),
                "approvals": self.total("approval"),
                "suppressed": self.total("suppressed"),
                "llm_calls": self.left_open,
            },
            "nothing_due": self.by("nothing_due"),
            "events": events,
        }

    def reasons(self) -> dict[str, int]:
        """How many actions were suppressed, by reason."""
        found: Counter[str] = Counter()
        for key, count in self.counts.items():
            if key[0] == "suppressed":
                found[key[3]] += count
        return dict(sorted(found.items()))


def _kinds(found: Mapping[str, int]) -> dict[str, int]:
    return {kind: found.get(kind, 0) for kind in KINDS}
