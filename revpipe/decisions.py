"""One case decided: what the rules, and failing them the second pass, want done, and what stands in its way.

Pure: it reads no ledger and writes none, so that the past can be judged by the very same code.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from revpipe import contexts, plan_history, shadows
from revpipe.cases import Case
from revpipe.llm.verdict import FALLBACK, LLM, RULE, Verdict, fallback
from revpipe.plan_history import Known, alike
from revpipe.recipients import address_of
from revpipe.rules.book import Evaluation, PlannedAction, higher
from revpipe.schemas.versions import VERSIONS
from revpipe.services import Deciding
from revpipe.signals import Signal, stable_id


@dataclass(frozen=True, slots=True)
class Decision:
    """A case decided: the evaluation and the actions it leads to, in the form of their rows.

    `verdict` is what the second pass made of what the rules left open. One that is `left_open` is not decided yet.
    """

    case: Case
    evaluation: Evaluation
    actions: tuple[dict[str, Any], ...]
    verdict: Verdict | None = None
    left_open: bool = False

    @property
    def due(self) -> bool:
        """Whether any action is to be carried out."""
        return any(action["state"] == "planned" for action in self.actions)

    @property
    def by(self) -> str:
        """Who decided: what the rules leave open falls back to doing no more than they say."""
        if self.evaluation.conclusive:
            return "rules"
        return self.verdict.by if self.verdict else FALLBACK

    @property
    def priority(self) -> str:
        """The signal's priority, which a rule that fired may raise."""
        return higher(self.case.row["priority"], self.evaluation.urgency)

    @property
    def shadowed(self) -> shadows.Shadowed:
        """What the rules in shadow say of the case."""
        evaluation = self.evaluation
        return shadows.Shadowed(
            self.case.signal.signal_id,
            self.case.subject,
            evaluation.conclusive,
            evaluation.shadows,
            contexts.value(self.case.parts, "deal"),
        )

    @property
    def ending(self) -> tuple[str, str | None]:
        """Disposition and reason of a signal with nothing to be carried out."""
        if any(one["state"] == "done" for one in self.case.former):
            return "acted", None
        if self.actions:
            return "suppressed", str(self.actions[0]["reason"])
        if self.evaluation.conclusive:
            return "nothing_due", "rule:" + self.evaluation.fired[0]
        if self.by == LLM:
            return "nothing_due", LLM
        return "nothing_due", "no_rule_fired"


def decide(
    case: Case,
    known: Known,
    services: Deciding,
    now: datetime,
    verdicts: Mapping[uuid.UUID, Verdict] | None = None,
) -> Decision:
    """The rules' answer to one case, and the second pass's if they have none, with what stands in each action's way."""
    facts, *others = case.facts(known.facts(), now)
    evaluation = services.rules.evaluate(facts, others)
    verdict = None
    if verdicts is not None and not evaluation.conclusive:
        verdict = verdicts.get(case.signal.signal_id) or fallback("llm_off")
    wanted = (*evaluation.actions, *(verdict.actions if verdict else ()))
    actions: list[dict[str, Any]] = []
    for at, planned in enumerate(wanted):
        action = _action(case, planned, at, services, now)
        earlier = next((one for one in actions if one["state"] == "planned" and alike(one, action)), None)
        former = next((one for one in case.former if alike(one, action)), None)
        winner: uuid.UUID | None
        reason: str | None
        if former:
            winner, reason = former["action_id"], "already_done" if former["state"] == "done" else "already_open"
        elif earlier:
            winner, reason = earlier["action_id"], "same_rule_and_type"
        else:
            winner, reason = known.in_the_way(action, planned.cooldown, now)
            if winner is None and planned.rule_id == RULE:
                # What a rule has under way, a model need not want as well.
                winner, reason = known.open_of(planned.type)
            twin = None if winner else _twin(action, actions, case.former)
            if twin is not None:
                winner, reason = twin["suppressed_by"] or twin["action_id"], plan_history.TWIN
                twin["priority"] = higher(twin["priority"], action["priority"])
        if winner:
            action |= {"state": "suppressed", "suppressed_by": winner, "reason": reason, "done_at": now}
        actions.append(action)
    return Decision(case, evaluation, tuple(actions), verdict)


def _twin(
    action: Mapping[str, Any], actions: Sequence[dict[str, Any]], former: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """The action of another rule that would do the very same, on the same terms: once is enough for both.

    On a replay it may be one that an earlier plan of this signal carried out.
    """
    same = ("type", "params", "approval", "expires_s")
    carried_out = {one["action_id"] for one in former}
    wanted = (one for one in actions if one["state"] == "planned" or one["suppressed_by"] in carried_out)
    return next((one for one in wanted if all(one[name] == action[name] for name in same)), None)


def _action(case: Case, planned: PlannedAction, at: int, services: Deciding, now: datetime) -> dict[str, Any]:
    signal = case.signal
    # Decided anew, an action is another one, with a key and an approval of its own; the former stays for the record.
    again = (case.row["replays"],) if case.row["replays"] else ()
    return {
        "action_id": stable_id("action", signal.signal_id, planned.rule_id, planned.type, at, *again),
        "schema_version": VERSIONS["action"],
        "signal_id": signal.signal_id,
        "plan_id": plan_id(signal),
        "correlation_id": signal.correlation_id,
        "rule_id": planned.rule_id,
        "subject": case.subject,
        "deal_id": signal.deal_id or contexts.value(case.parts, "deal").get("id"),
        "account_id": signal.account_id or contexts.value(case.parts, "account").get("id"),
        "contact_id": signal.contact_id or contexts.value(case.parts, "contact").get("id"),
        "type": planned.type,
        "adapter": services.policy[planned.type].adapter,
        "priority": planned.priority or case.row["priority"],
        "params": dict(planned.params),
        "recipient": address_of(planned.type, planned.params),
        "approval": planned.approval,
        "expires_s": None if planned.expires is None else int(planned.expires.total_seconds()),
        "state": "planned",
        "reason": None,
        "suppressed_by": None,
        "created_at": now,
        "done_at": None,
    }


def plan_id(signal: Signal) -> uuid.UUID:
    """The id of a signal's plan: a signal has one."""
    return stable_id("plan", signal.signal_id)
