"""What rules in shadow would have done in a time, beside what was done: a query or three for each rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import rule_versions
from revpipe.rules.book import Rule, RuleBook

NEAR: Final = timedelta(days=1)
"""How near in time a like action of a live rule for the same subject must be to count as an overlap."""
ON_THE_WAY: Final = timedelta(minutes=1)
"""How long before a version's first decision the signals that it decided first may have come in."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """The numbers of one rule in shadow.

    `since` is when the comparison begins: when the rule was first in shadow, if that is later than was asked for.
    `signals` came in since then, `asked` of them are of an event that the rule listens to. `overlaps` counts those of
    the `planned` actions that have a like one of a live rule near, and `beside` by which rules.
    """

    rule_id: str
    description: str
    since: datetime
    signals: int
    asked: int
    fired: int
    subjects: int
    settles: int
    planned: Mapping[str, int]
    held_back: Mapping[str, int]
    approvals: int
    overlaps: int
    beside: Mapping[str, int]

    @property
    def settled_share(self) -> float | None:
        """The share of all signals that it alone would have made conclusive; None if none came in."""
        return self.settles / self.signals if self.signals else None

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "settled_share": self.settled_share}


def compare(tx: Connection, rules: RuleBook, since: datetime) -> list[Shadow]:
    """The rules that are in shadow now, each from `since` on; reads only."""
    found = []
    counts: dict[datetime, Mapping[str, int]] = {}
    for rule in rules.shadows:
        first = rule_versions.in_shadow_since(tx, rule.id)
        begins = since if first is None else max(since, first - ON_THE_WAY)
        if begins not in counts:
            counts[begins] = _signals(tx, begins)
        found.append(_one(tx, rule, begins, counts[begins]))
    return found


def _one(tx: Connection, rule: Rule, since: datetime, signals: Mapping[str, int]) -> Shadow:
    values = {"rule": rule.id, "since": since, "near": NEAR}
    whole = tx.execute(text(_FIRED), values).one()
    actions = tx.execute(text(_ACTIONS), values).all()
    return Shadow(
        rule_id=rule.id,
        description=rule.description,
        since=since,
        signals=sum(signals.values()),
        asked=sum(signals.get(event, 0) for event in rule.events),
        fired=whole.fired,
        subjects=whole.subjects,
        settles=whole.settles,
        planned=_sums((row.type, row.n) for row in actions if row.reason is None),
        held_back=_sums((row.reason, row.n) for row in actions if row.reason is not None),
        approvals=sum(row.n for row in actions if row.reason is None and row.person),
        overlaps=tx.execute(text(_OVERLAPS), values).scalar_one(),
        beside={row.rule_id: row.n for row in tx.execute(text(_BESIDE), values)},
    )


def _signals(tx: Connection, since: datetime) -> Mapping[str, int]:
    """How many signals of each event came in."""
    rows = tx.execute(
        text("SELECT event, count(*) AS n FROM signals WHERE received_at >= :since GROUP BY event"), {"since": since}
    )
    return {row.event: row.n for row in rows}


def _sums(pairs: Any) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, count in pairs:
        sums[name] = sums.get(name, 0) + count
    return sums


_FIRED: Final = (
    "SELECT count(*) AS fired, count(DISTINCT subject) AS subjects, count(*) FILTER (WHERE settles) AS settles"
    " FROM shadow_outcomes WHERE rule_id = :rule AND created_at >= :since"
)
_WANTED: Final = (
    "SELECT s.subject, s.rule_id, s.created_at, a ->> 'type' AS type, a ->> 'reason' AS reason,"
    " (a ->> 'person')::boolean AS person FROM shadow_outcomes AS s, jsonb_array_elements(s.actions) AS a"
    " WHERE s.rule_id = :rule AND s.created_at >= :since"
)
_ACTIONS: Final = f"SELECT type, reason, person, count(*) AS n FROM ({_WANTED}) AS w GROUP BY 1, 2, 3 ORDER BY 1, 2"  # noqa: S608
_LIKE: Final = (
    "FROM actions AS l WHERE l.subject = w.subject AND l.type = w.type AND l.rule_id <> w.rule_id"
    " AND l.state <> 'suppressed' AND l.created_at BETWEEN w.created_at - :near AND w.created_at + :near"
)
_OVERLAPS: Final = f"SELECT count(*) FROM ({_WANTED}) AS w WHERE w.reason IS NULL AND EXISTS (SELECT 1 {_LIKE})"  # noqa: S608
_BESIDE: Final = (
    f"SELECT one.rule_id, count(*) AS n FROM ({_WANTED}) AS w, LATERAL (SELECT DISTINCT l.rule_id {_LIKE}) AS one"  # noqa: S608
    " WHERE w.reason IS NULL GROUP BY 1 ORDER BY 2 DESC, 1"
)


def lines(found: Sequence[Shadow]) -> list[str]:
    """The comparison for people."""
    told: list[str] = []
    for one in found:
        told += [
            f"{one.rule_id}: {one.description}",
            f"  since {one.since:%Y-%m-%d %H:%M} UTC asked on {one.asked:,} of {one.signals:,} signals,"
            f" fired on {one.fired:,} of {one.subjects:,} subjects",
            f"  would have planned {_listed(one.planned)}; held back {_listed(one.held_back)}",
            f"  would have asked a person {one.approvals:,} times",
            f"  would have settled {one.settles:,} signals that the live rules left open{_percent(one.settled_share)}",
            f"  within a day of a like action for the same subject: {one.overlaps:,}"
            + (f" ({_listed(one.beside)})" if one.beside else ""),
        ]
    return told


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing"


def _percent(share: float | None) -> str:
    return "" if share is None else f", {share:.1%} of all"
