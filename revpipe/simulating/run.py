"""A past gone through with one book of rules, or with two to compare."""

from collections import Counter
from dataclasses import dataclass, field

from revpipe.simulating import pool
from revpipe.simulating.changes import Change, Differ
from revpipe.simulating.judge import Judge, Trial
from revpipe.simulating.past import Share, Source
from revpipe.simulating.sums import Sums

MOST_TOLD = 20_000
"""Changes that are kept one by one; of more there are counts only, so that memory stays bounded."""
EFFECTS = ("actions", "approvals", "llm_calls", "suppressed")


@dataclass(slots=True)
class Simulated:
    """What one book would have decided."""

    sums: Sums = field(default_factory=Sums)
    unreadable: int = 0


@dataclass(slots=True)
class Compared:
    """What two books would have decided, and where they differ.

    `by_rule` counts, for each rule that made a difference, the changed signals and their effects before and after.
    """

    before: Sums = field(default_factory=Sums)
    after: Sums = field(default_factory=Sums)
    changes: list[Change] = field(default_factory=list)
    changed: int = 0
    by_rule: dict[str, Counter[str]] = field(default_factory=dict)
    unreadable: int = 0

    def add(self, change: Change) -> None:
        """Count a change, and keep it while there is room."""
        self.changed += 1
        if len(self.changes) < MOST_TOLD:
            self.changes.append(change)
        for rule in change.rules:
            counts = self.by_rule.setdefault(rule, Counter())
            counts["signals"] += 1
            for when, side in (("before", change.before), ("after", change.after)):
                mine = [one for one in side.actions if one["rule_id"] == rule]
                counts[f"actions_{when}"] += sum(one["state"] == "planned" for one in mine)
                counts[f"suppressed_{when}"] += sum(one["state"] != "planned" for one in mine)
                counts[f"approvals_{when}"] += sum(one["asks"] for one in mine)
                counts[f"llm_calls_{when}"] += side.kind == "left_open"

    def merge(self, other: "Compared") -> None:
        """Add what another process found."""
        self.before.merge(other.before)
        self.after.merge(other.after)
        self.changed += other.changed
        self.unreadable += other.unreadable
        self.changes = sorted([*self.changes, *other.changes], key=lambda one: (one.at, one.signal_id))[:MOST_TOLD]
        for rule, counts in other.by_rule.items():
            self.by_rule.setdefault(rule, Counter()).update(counts)


def simulate(source: Source, trial: Trial, jobs: int) -> Simulated:
    """Decide the signals of a past by one book. Writes nothing and calls nobody."""

    def work(share: Share) -> Simulated:
        found, judge = Simulated(), Judge(trial)
        for batch in source.batches(share):
            judge.meet(batch.before)
            found.unreadable += batch.unreadable
            for past in batch.pasts:
                found.sums.add(judge.decide(past))
        return found

    first, *others = pool.spread(work, jobs)
    for one in others:
        first.sums.merge(one.sums)
        first.unreadable += one.unreadable
    return first


def compare(source: Source, old: Trial, new: Trial, jobs: int) -> Compared:
    """Decide the signals of a past by two books, each with the history that it would have made."""

    def work(share: Share) -> Compared:
        found, differ = Compared(), Differ(old.rules, new.rules)
        judges = Judge(old), Judge(new)
        for batch in source.batches(share):
            found.unreadable += batch.unreadable
            for judge in judges:
                judge.meet(batch.before)
            for past in batch.pasts:
                before, after = (judge.decide(past) for judge in judges)
                found.before.add(before)
                found.after.add(after)
                change = differ.change(before, after)
                if change:
                    found.add(change)
        return found

    first, *others = pool.spread(work, jobs)
    for one in others:
        first.merge(one)
    return first
