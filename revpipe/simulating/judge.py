"""One book of rules over signals of the past, with cooldowns and open actions as they would have come about."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe import contexts
from revpipe.action_policy import ActionPolicy
from revpipe.decisions import Decision, decide
from revpipe.plan_history import TWIN
from revpipe.rules.book import RuleBook
from revpipe.simulating.past import Past
from revpipe.simulating.timeline import Course, Timeline, really

KINDS = ("acts", "suppressed", "nothing_due", "left_open")
_KEPT: Final = ("action_id", "signal_id", "rule_id", "type", "created_at")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a book would have decided on one signal. `asks` holds the ids of actions that a person must approve."""

    decision: Decision
    at: datetime
    asks: frozenset[Any]

    @property
    def kind(self) -> str:
        """`left_open` is what goes to the LLM; all else is decided by rules."""
        if not self.decision.evaluation.conclusive:
            return "left_open"
        if self.decision.due:
            return "acts"
        return "suppressed" if self.decision.actions else "nothing_due"

    @property
    def planned(self) -> list[Mapping[str, Any]]:
        """Its actions that nothing stands in the way of."""
        return [action for action in self.decision.actions if action["state"] == "planned"]


@dataclass(frozen=True, slots=True)
class Trial:
    """A book on trial, under the policy that there is; see `revpipe.services.Deciding`."""

    rules: RuleBook
    policy: Mapping[str, ActionPolicy]


class Judge:
    """Decides as the stage does, by the stage's own function, and remembers what it decided for each subject.

    An action that the signal really had takes the course that it took: it was done, rejected or expired when it was.
    Nobody knows what a person would have said to any other: it counts as open until its approval would have expired,
    and as done after that; one that needs no approval counts as done at once.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._timelines: dict[str, Timeline] = {}

    def meet(self, before: Mapping[str, Iterable[Course]]) -> None:
        """Take over what the ledger held of subjects before the period."""
        for subject, courses in before.items():
            self._timelines[subject] = Timeline(list(courses))

    def decide(self, past: Past) -> Verdict:
        """The decision on one signal; call it in the order of the past."""
        timeline = self._timelines.setdefault(past.case.subject, Timeline())
        known = timeline.known(past.at, past.signals_7d, self._trial.rules.longest_cooldown)
        decision = decide(past.case, known, self._trial, past.at)
        asks = frozenset(one["action_id"] for one in decision.actions if self._asks(one, decision))
        verdict = Verdict(decision, past.at, asks)
        timeline.courses += [self._course(action, past, asks) for action in verdict.planned]
        timeline.courses += [_twin(action, past) for action in decision.actions if action["reason"] == TWIN]
        return verdict

    def _asks(self, action: Mapping[str, Any], decision: Decision) -> bool:
        policy = self._trial.policy[action["type"]]
        risk = policy.risk.of(decision.by, contexts.value(decision.case.parts, "deal"))
        return action["state"] == "planned" and policy.needs_person(action["approval"], risk)

    def _course(self, action: Mapping[str, Any], past: Past, asks: frozenset[uuid.UUID]) -> Course:
        known = {name: action[name] for name in _KEPT}
        real = past.real.get(action["action_id"])
        if real is not None:
            return replace(really(real), action=known)
        if action["action_id"] not in asks:
            return Course(known, past.at, "done")
        until = self._trial.policy[action["type"]].ends(past.at)
        if action["expires_s"] is not None:
            until = min(until, past.at + timedelta(seconds=action["expires_s"]))
        return Course(known, until, "done")


def _twin(action: Mapping[str, Any], past: Past) -> Course:
    """An action that another rule carried out for both: it starts the cooldown of its own rule as well."""
    return Course({name: action[name] for name in (*_KEPT, "reason", "suppressed_by")}, past.at, "suppressed")
