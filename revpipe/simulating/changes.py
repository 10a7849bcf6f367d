"""Where two books of rules decide one signal otherwise, and which term, or what else, made the difference."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from revpipe.db import to_json
from revpipe.rules.book import RuleBook, RuleOutcome
from revpipe.rules.expressions import Term
from revpipe.simulating.judge import Verdict

NO_RULE = "(no rule)"
_TOLD = ("rule_id", "type", "state", "reason", "priority")


@dataclass(frozen=True, slots=True)
class Cause:
    """What made a difference: `what` is term, events, added, removed, actions, content, history or other.

    For a term: what it was before and after (True, False, None for not known, and None where it is not there), and
    the values that made it so.
    """

    rule: str
    what: str
    text: str
    before: bool | None = None
    after: bool | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """One of two decisions in short."""

    kind: str
    actions: tuple[dict[str, Any], ...]
    approvals: int

    @property
    def planned(self) -> int:
        """How many of its actions nothing stands in the way of."""
        return sum(one["state"] == "planned" for one in self.actions)


@dataclass(frozen=True, slots=True)
class Change:
    """One signal that is decided otherwise now."""

    signal_id: str
    event: str
    subject: str
    at: datetime
    before: Side
    after: Side
    causes: tuple[Cause, ...]

    @property
    def rules(self) -> list[str]:
        """The rules that made the difference."""
        return sorted({cause.rule for cause in self.causes}) or [NO_RULE]

    def as_dict(self) -> dict[str, Any]:
        """The change as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Differ:
    """Compares decisions of two books."""

    old: RuleBook
    new: RuleBook

    def change(self, before: Verdict, after: Verdict) -> Change | None:
        """The change between two decisions on one signal; None if they come to the same."""
        if _key(before) == _key(after):
            return None
        case = before.decision.case
        return Change(
            signal_id=str(case.signal.signal_id),
            event=case.signal.event,
            subject=case.subject,
            at=before.at,
            before=_side(before),
            after=_side(after),
            causes=tuple(self._causes(before, after)),
        )

    def _causes(self, before: Verdict, after: Verdict) -> Iterator[Cause]:
        old = {one.rule_id: one for one in before.decision.evaluation.outcomes}
        new = {one.rule_id: one for one in after.decision.evaluation.outcomes}
        for rule in dict.fromkeys([*old, *new]):
            was, is_ = old.get(rule), new.get(rule)
            if (was is not None and was.fired) != (is_ is not None and is_.fired):
                yield from _switched(rule, was, is_)
            elif was and is_ and was.fired:
                yield from _same_rule(rule, before, after, self._conclusive(rule))

    def _conclusive(self, rule: str) -> tuple[bool, bool]:
        found = [next(one.conclusive for one in book.rules if one.id == rule) for book in (self.old, self.new)]
        return found[0], found[1]


def _switched(rule: str, was: RuleOutcome | None, is_: RuleOutcome | None) -> Iterator[Cause]:
    """A rule that fires on one side only."""
    if was is None or is_ is None:
        yield Cause(
            rule, "added" if was is None else "removed", "the rule is new" if was is None else "the rule is gone"
        )
        return
    silent, fires = (is_, was) if was.fired else (was, is_)
    if not silent.listened:
        words = "no longer listens to this event" if was.fired else "now listens to this event"
        yield Cause(rule, "events", words)
        return
    others = {term.expression: term for term in fires.terms}
    for term in silent.terms:
        if term.held is True:
            continue
        twin = others.get(term.expression)
        held = twin.held if twin else None
        before, after = (held, term.held) if was.fired else (term.held, held)
        yield Cause(rule, "term", _told(term, silent is is_), before, after, term.values)


def _told(term: Term, is_new: bool) -> str:
    holds = {True: "holds", False: "does not hold", None: "can't be told"}[term.held]
    return f"{term.expression} {holds}" if is_new else f"{term.expression} did not hold before"


def _same_rule(rule: str, before: Verdict, after: Verdict, conclusive: tuple[bool, bool]) -> Iterator[Cause]:
    """A rule that fires on both sides, and may want something else, or meet something else in its way."""
    if conclusive[0] != conclusive[1]:
        yield Cause(rule, "other", f"conclusive is {str(conclusive[1]).lower()} now")
    old, new = _of(rule, before), _of(rule, after)
    if [one["type"] for one in old] != [one["type"] for one in new]:
        yield Cause(rule, "actions", f"{_types(old)} → {_types(new)}")
        return
    for was, is_ in zip(old, new, strict=True):
        if (was["state"], was["reason"]) != (is_["state"], is_["reason"]):
            yield Cause(rule, "history", f"{was['type']}: {_way(was)} → {_way(is_)}")
        if _asked(before, was) != _asked(after, is_) and was["state"] == is_["state"] == "planned":
            yield Cause(rule, "other", f"{was['type']}: a person is {'' if _asked(after, is_) else 'not '}asked now")
        if was["priority"] != is_["priority"]:
            yield Cause(rule, "other", f"{was['type']}: priority {was['priority']} → {is_['priority']}")
        if was["expires_s"] != is_["expires_s"]:
            yield Cause(rule, "other", f"{was['type']}: expires {_wait(was)} → {_wait(is_)}")
        if was["params"] != is_["params"]:
            names = [name for name in {**was["params"], **is_["params"]} if _param(was, name) != _param(is_, name)]
            yield Cause(rule, "content", f"{was['type']}: {', '.join(sorted(names))} reads otherwise")


def _way(action: Mapping[str, Any]) -> str:
    return "planned" if action["state"] == "planned" else f"suppressed ({action['reason']})"


def _wait(action: Mapping[str, Any]) -> str:
    return "never" if action["expires_s"] is None else f"after {timedelta(seconds=action['expires_s'])}"


def _param(action: Mapping[str, Any], name: str) -> Any:
    return action["params"].get(name)


def _types(actions: list[Mapping[str, Any]]) -> str:
    return ", ".join(one["type"] for one in actions) or "nothing"


def _of(rule: str, verdict: Verdict) -> list[Mapping[str, Any]]:
    return [one for one in verdict.decision.actions if one["rule_id"] == rule]


def _asked(verdict: Verdict, action: Mapping[str, Any]) -> bool:
    return action["action_id"] in verdict.asks


def _side(verdict: Verdict) -> Side:
    actions = tuple(
        {**{name: one[name] for name in _TOLD}, "asks": _asked(verdict, one)} for one in verdict.decision.actions
    )
    return Side(verdict.kind, actions, len(verdict.asks))


def _key(verdict: Verdict) -> tuple[Any, ...]:
    """All that makes a decision this one: which rule says that nothing is due does not."""
    actions = (
        (
            one["rule_id"], one["type"], one["state"], one["reason"], one["priority"],
            _asked(verdict, one), one["expires_s"], to_json(one["params"]),
        )
        for one in verdict.decision.actions
    )  # fmt: skip
    return verdict.kind, tuple(sorted(actions, key=str))
