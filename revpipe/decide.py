"""Stage decide: rules over signal and context → one plan and its actions. Has no effect outside."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import bulk, contexts, dispositions, failures, plan_history, rule_versions, schemas, stage, trail, work
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.errors import RevpipeError
from revpipe.plan_history import Known, alike
from revpipe.ports import Parts
from revpipe.rules import vocabulary
from revpipe.rules.book import Evaluation, PlannedAction
from revpipe.schemas.versions import VERSIONS
from revpipe.services import Services
from revpipe.signals import Signal, stable_id
from revpipe.work import Chunk, Claim

STAGE: Final = "decide"


@dataclass(frozen=True, slots=True)
class Case:
    """One signal with all that is known about it."""

    row: Mapping[str, Any]
    signal: Signal
    parts: Parts
    subject: str
    former: Sequence[Mapping[str, Any]] = ()
    """Actions of its earlier plans that had their effect, or may have had it: none of them is planned again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A case decided: the evaluation and the actions it leads to, in the form of their rows."""

    case: Case
    evaluation: Evaluation
    actions: tuple[dict[str, Any], ...]

    @property
    def due(self) -> bool:
        """Whether any action is to be carried out."""
        return any(action["state"] == "planned" for action in self.actions)

    @property
    def by(self) -> str:
        """Who decided: what the rules leave open falls back to doing no more than they say."""
        return "rules" if self.evaluation.conclusive else "fallback"

    @property
    def ending(self) -> tuple[str, str | None]:
        """Disposition and reason of a signal with nothing to be carried out."""
        if any(one["state"] == "done" for one in self.case.former):
            return "acted", None
        if self.actions:
            return "suppressed", str(self.actions[0]["reason"])
        if self.evaluation.conclusive:
            return "nothing_due", "rule:" + self.evaluation.fired[0]
        return "nothing_due", "no_rule_fired"


def run(chunk: Chunk, services: Services) -> Chunk | None:
    """Decide each signal of the chunk and return those that have something to be carried out."""
    return stage.run(STAGE, chunk, services, _decide)


def _decide(held: Claim, services: Services) -> stage.HandOn:
    cases, failed = _cases(held, services)
    room = stage.next_has_room(STAGE, held, services)
    now = services.clock.now()
    crash_point("decide.worked", held.rows)
    with transaction(services.engine) as tx:
        _lock_subjects(tx, [case.subject for case in cases])
        ours = set(work.still_held(tx, held))
        cases = [case for case in cases if case.signal.signal_id in ours]
        rule_versions.remember(tx, services.rules)
        known = plan_history.read(tx, [case.subject for case in cases], now)
        former = plan_history.carried_out(tx, [case.row["signal_id"] for case in cases if case.row["replays"]])
        cases = [replace(case, former=former.get(case.row["signal_id"], ())) for case in cases]
        decisions = []
        for case in sorted(cases, key=lambda one: (one.signal.fired_at, one.signal.signal_id)):
            decision = decide(case, known[case.subject], services, now)
            known[case.subject].add(decision.actions)
            decisions.append(decision)
        _store(tx, decisions, services, now)
        handed = _finish(tx, decisions, held, services, now, room=room)
        failures.settle_signals(tx, STAGE, [one for one in failed if one.row["signal_id"] in ours], now)
        crash_point("decide.written", held.rows)
    return handed


def _cases(held: Claim, services: Services) -> tuple[list[Case], list[failures.Failure]]:
    cases: list[Case] = []
    failed: list[failures.Failure] = []
    with transaction(services.engine) as tx:
        known = contexts.read(tx, held.ids)
    for row in held.rows:
        try:
            signal = schemas.stored_signal(row)
        except RevpipeError as error:
            failed.append(failures.Failure(row, error))
            continue
        parts = known.get(signal.signal_id, {})
        cases.append(Case(row, signal, parts, contexts.subject(signal, parts)))
    return cases, failed


def _lock_subjects(tx: Connection, subjects: Sequence[str]) -> None:
    """One decider a subject at a time, in sorted order so that chunks never wait for each other in a ring.

    The second signal of a deal thus sees the first one's plan. The locks end with the transaction.
    """
    tx.execute(
        sql(
            "SELECT pg_advisory_xact_lock(key) FROM"
            " (SELECT DISTINCT hashtextextended(subject, 0) AS key FROM unnest(CAST(:subjects AS text[])) AS subject"
            " ORDER BY 1) AS keys"
        ),
        {"subjects": sorted(set(subjects))},
    )


def decide(case: Case, known: Known, services: Services, now: datetime) -> Decision:
    """The rules' answer to one case, with what stands in the way of each action."""
    facts = vocabulary.facts(case.signal, case.parts, known.facts(), now)
    evaluation = services.rules.evaluate(facts)
    actions: list[dict[str, Any]] = []
    for at, planned in enumerate(evaluation.actions):
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
        if winner:
            action |= {"state": "suppressed", "suppressed_by": winner, "reason": reason, "done_at": now}
        actions.append(action)
    return Decision(case, evaluation, tuple(actions))


def _action(case: Case, planned: PlannedAction, at: int, services: Services, now: datetime) -> dict[str, Any]:
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
        "approval": planned.approval,
        "state": "planned",
        "reason": None,
        "suppressed_by": None,
        "created_at": now,
        "done_at": None,
    }


def plan_id(signal: Signal) -> uuid.UUID:
    """The id of a signal's plan: a signal has one."""
    return stable_id("plan", signal.signal_id)


def _store(tx: Connection, decisions: Sequence[Decision], services: Services, now: datetime) -> None:
    """Plans and actions in id order. A second open action for one rule, subject and type breaks the index.

    A plan that is there already is that of a replayed signal, and `reopening` has put a copy of it by.
    """
    if not decisions:
        return
    plans = sorted((_plan(one, services, now) for one in decisions), key=lambda plan: plan["plan_id"])
    newer = ", ".join(f"{name} = excluded.{name}" for name in plans[0] if name not in ("plan_id", "signal_id"))
    bulk.insert(tx, "plans", plans, f"ON CONFLICT (plan_id) DO UPDATE SET {newer}")
    bulk.insert(tx, "actions", sorted((a for one in decisions for a in one.actions), key=lambda a: a["action_id"]))


def _plan(decision: Decision, services: Services, now: datetime) -> dict[str, Any]:
    evaluation = decision.evaluation
    return {
        "plan_id": plan_id(decision.case.signal),
        "signal_id": decision.case.signal.signal_id,
        "schema_version": VERSIONS["plan"],
        "decided_by": decision.by,
        "rules_version": services.rules.version,
        "conclusive": evaluation.conclusive,
        "why": evaluation.as_dict(),
        "created_at": now,
    }


def _finish(
    tx: Connection,
    decisions: Sequence[Decision],
    held: Claim,
    services: Services,
    now: datetime,
    *,
    room: bool,
) -> stage.HandOn:
    """Signals with something due go on; the others end here."""
    entries: list[trail.Entry] = []
    for decision in decisions:
        entries.append(_entry(decision, held, services, now))
        entries += [_planned(action) for action in decision.actions]
    onward = [{**one.case.row, "was_priority": one.case.row["priority"]} for one in decisions if one.due]
    handed = stage.hand_on(tx, STAGE, onward, now, room=room)
    for disposition, reason, ids in _ended(decisions):
        dispositions.finish(tx, ids, disposition, reason, now)
    trail.record(tx, now, entries)
    return handed


def _ended(decisions: Sequence[Decision]) -> list[tuple[str, str | None, list[uuid.UUID]]]:
    groups: dict[tuple[str, str | None], list[uuid.UUID]] = {}
    for one in decisions:
        if not one.due:
            groups.setdefault(one.ending, []).append(one.case.signal.signal_id)
    return [(disposition, reason, ids) for (disposition, reason), ids in groups.items()]


def _entry(decision: Decision, held: Claim, services: Services, now: datetime) -> trail.Entry:
    case, evaluation = decision.case, decision.evaluation
    detail = {
        **stage.timing(case.row, held, now),
        "by": decision.by,
        "rules_version": services.rules.version,
        "fired": list(evaluation.fired),
        "actions": len(decision.actions),
    }
    if not decision.due:
        detail["disposition"] = decision.ending[0]
    return trail.Entry("decided", case.signal.signal_id, None, case.signal.correlation_id, detail)


def _planned(action: Mapping[str, Any]) -> trail.Entry:
    detail: dict[str, Any] = {"type": action["type"], "rule": action["rule_id"], "adapter": action["adapter"]}
    if action["suppressed_by"]:
        detail |= {"reason": action["reason"], "by": str(action["suppressed_by"])}
    what = "suppressed" if action["suppressed_by"] else "planned"
    return trail.Entry(what, action["signal_id"], action["action_id"], action["correlation_id"], detail)
