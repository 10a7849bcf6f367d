"""Stage decide: rules over signal and context → one plan and its actions. Has no effect outside."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from config.queues import left_open
from revpipe import (
    bulk,
    cases,
    coalescing,
    contexts,
    dispositions,
    failures,
    plan_history,
    rule_versions,
    shadows,
    stage,
    trail,
    work,
)
from revpipe.cases import Case
from revpipe.columns import Texts
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.decisions import Decision, decide, plan_id
from revpipe.llm.verdict import Verdict
from revpipe.schemas.versions import VERSIONS
from revpipe.services import Services
from revpipe.work import SIGNALS, Chunk, Claim

STAGE: Final = "decide"


def run(chunk: Chunk, services: Services) -> Chunk | None:
    """Decide each signal of the chunk and return those that have something to be carried out."""
    return stage.run(STAGE, chunk, services, settle, contexts.stored)


def settle(held: Claim, services: Services, verdicts: Mapping[uuid.UUID, Verdict] | None = None) -> stage.HandOn:
    """Plan what is held. What the rules leave open waits for the second pass where policy lets it: that one comes
    with its `verdicts`, and leaves nothing open. What it hands on starts chains of its own.
    """
    found, failed = cases.of_claim(held)
    room = verdicts is None and stage.next_has_room(STAGE, held, services)
    now = services.clock.now()
    crash_point("decide.worked", held.rows)
    with transaction(services.engine) as tx:
        _lock_subjects(tx, [case.subject for case in found])
        ours = set(work.still_held(tx, held))
        found = [case for case in found if case.signal.signal_id in ours]
        rule_versions.remember(tx, services.rules)
        known = plan_history.read(tx, [case.subject for case in found], now, services.rules.longest_cooldown)
        found = _with_past(tx, found, second=verdicts is not None)
        if verdicts is None:
            gathered = coalescing.sort(tx, found, known, services.needs, now)
            coalescing.record(tx, gathered, held, now)
            found = gathered.now
        decisions = []
        for case in sorted(found, key=lambda one: (one.signal.fired_at, one.signal.signal_id)):
            decision = decide(case, known[case.subject], services, now, verdicts)
            if verdicts is None and not decision.evaluation.conclusive and _admitted(case, services):
                decision = Decision(case, decision.evaluation, (), left_open=True)
            known[case.subject].add(decision.actions)
            decisions.append(decision)
        waiting = [decision for decision in decisions if decision.left_open]
        decisions = [decision for decision in decisions if not decision.left_open]
        _store(tx, decisions, services, now)
        shadows.record(tx, (one.shadowed for one in decisions), services.rules, services.policy, known, now)
        handed = _finish(tx, decisions, held, services, now, room=room)
        handed.offers += _leave_open(tx, waiting, held, services, now)
        failures.settle_signals(tx, STAGE, [one for one in failed if one.row["signal_id"] in ours], now)
        crash_point("decide.written", held.rows)
    return handed


def _with_past(tx: Connection, found: Sequence[Case], *, second: bool) -> list[Case]:
    """The cases with what replayed ones did before, and with what was coalesced into those that come again."""
    again = [case.signal.signal_id for case in found if case.row["replays"]]
    former = plan_history.carried_out(tx, again)
    carried = cases.carried(tx, [case.signal.signal_id for case in found] if second else again)
    if not former and not carried:
        return list(found)
    return [
        replace(
            case,
            former=former.get(case.signal.signal_id, ()),
            carries=tuple(carried.get(case.signal.signal_id, ())),
        )
        for case in found
    ]


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
        {"subjects": Texts(sorted(set(subjects)))},
    )


def _admitted(case: Case, services: Services) -> bool:
    """Whether a language model may be asked about this signal."""
    amount = contexts.value(case.parts, "deal").get("amount")
    return services.desk is not None and services.desk.policy.admits(case.signal.event, amount)


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
        "why": evaluation.as_dict() | ({"llm": decision.verdict.as_dict()} if decision.verdict else {}),
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
    onward = [
        {
            **one.case.row,
            "priority": one.priority,
            "was_priority": one.case.row.get("was_priority", one.case.row["priority"]),
        }
        for one in decisions
        if one.due
    ]
    handed = stage.hand_on(tx, STAGE, onward, now, room=room)
    for disposition, reason, ids in _ended(decisions):
        dispositions.finish(tx, ids, disposition, reason, now)
    trail.record(tx, now, entries)
    return handed


def _leave_open(
    tx: Connection, waiting: Sequence[Decision], held: Claim, services: Services, now: datetime
) -> list[str]:
    """Signals that wait for the second pass: due there at once. Returns their queues."""
    queues: dict[str, list[uuid.UUID]] = {}
    for one in waiting:
        queues.setdefault(left_open(one.case.row["priority"]), []).append(one.case.signal.signal_id)
    for queue, ids in queues.items():
        work.move(tx, SIGNALS, ids, {"queue": queue, "due_at": now, "sent_at": None})
    trail.record(tx, now, [_entry(one, held, services, now, what="left_open") for one in waiting])
    return list(queues)


def _ended(decisions: Sequence[Decision]) -> list[tuple[str, str | None, list[uuid.UUID]]]:
    groups: dict[tuple[str, str | None], list[uuid.UUID]] = {}
    for one in decisions:
        if not one.due:
            groups.setdefault(one.ending, []).append(one.case.signal.signal_id)
    return [(disposition, reason, ids) for (disposition, reason), ids in groups.items()]


def _entry(decision: Decision, held: Claim, services: Services, now: datetime, what: str = "decided") -> trail.Entry:
    case, evaluation = decision.case, decision.evaluation
    detail = {
        **stage.timing(case.row, held, now),
        "rules_version": services.rules.version,
        "fired": list(evaluation.fired),
    }
    if case.carries:
        detail["carries"] = len(case.carries)
    if not decision.left_open:
        detail |= {"by": decision.by, "actions": len(decision.actions)}
        detail |= decision.verdict.trail() if decision.verdict else {}
    if not decision.due and not decision.left_open:
        detail["disposition"] = decision.ending[0]
    elif decision.due and decision.priority != case.row["priority"]:
        detail["urgency"] = [case.row["priority"], decision.priority]
    return trail.Entry(what, case.signal.signal_id, None, case.signal.correlation_id, detail)


def _planned(action: Mapping[str, Any]) -> trail.Entry:
    detail: dict[str, Any] = {"type": action["type"], "rule": action["rule_id"], "adapter": action["adapter"]}
    if action["suppressed_by"]:
        detail |= {"reason": action["reason"], "by": str(action["suppressed_by"])}
    what = "suppressed" if action["suppressed_by"] else "planned"
    return trail.Entry(what, action["signal_id"], action["action_id"], action["correlation_id"], detail)
