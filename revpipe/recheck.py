"""Looking at the facts once more before an approved action goes out: hours may lie between the plan and the word."""

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from config.queues import RECHECK
from revpipe import (
    changed_facts,
    contexts,
    dispositions,
    feed,
    fresh_facts,
    grounds,
    outcomes,
    plan_history,
    recipients,
    stage,
    trail,
    versions,
    work,
)
from revpipe.approval_changes import touch
from revpipe.cases import Case
from revpipe.changed_facts import Change
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.errors import Permanent, RevpipeError
from revpipe.fresh_facts import Outcome
from revpipe.grounds import Ground, Grounds
from revpipe.llm.verdict import RULE
from revpipe.plan_history import Known
from revpipe.releases import make_ready
from revpipe.services import Services
from revpipe.work import ACTIONS, Chunk, Claim

QUIET: Final = "quiet_hours"
Row = Mapping[str, Any]


def run(chunk: Chunk, services: Services) -> None:
    """Read the facts of the chunk's actions anew: those that hold go to their adapters, the others are cancelled."""
    with transaction(services.engine, durable=False) as tx:
        asked_at, now = time.monotonic(), services.clock.now()
        held = work.claim(tx, ACTIONS, RECHECK, chunk, now, lasts=services.lease)
        isolated = stage.quarantines(held)
        behind = feed.behind(held)
        held = held.only(outcomes.stop_exhausted(tx, held.rows, now))
        found = grounds.read(tx, [row["signal_id"] for row in held.rows], now)
    crash_point("recheck.claimed", held.rows)
    offers: list[str] = []
    if held.rows:
        with stage.given_back(held, services), stage.renewed(held, services, asked_at):
            facts = fresh_facts.ask([one.signal for one in found.found.values()], found.calls, services)
            crash_point("recheck.worked", held.rows)
            offers = _record(held, found, facts, services)
    crash_point("recheck.recorded", held.rows)
    feed.offer(services, [*offers, *isolated, *behind])


def _record(held: Claim, found: Grounds, facts: Mapping[uuid.UUID, Outcome], services: Services) -> list[str]:
    """Write what becomes of each action whose claim is still ours; returns the queues that got rows."""
    now = services.clock.now()
    errors: dict[uuid.UUID, RevpipeError] = {**versions.newer_actions(held.rows)}
    with transaction(services.engine) as tx:
        ours = set(work.still_held(tx, held))
        rows = [row for row in held.rows if row["action_id"] in ours]
        for row in rows:
            error = _error(row["signal_id"], found, facts)
            if error is not None:
                errors.setdefault(row["action_id"], error)
        known = [row for row in rows if row["action_id"] not in errors]
        changed = _judge(tx, known, found, facts, services, now)
        ended = _cancel(tx, [(row, changed[row["action_id"]]) for row in known if row["action_id"] in changed], now)
        given_up = [row for row in rows if row["action_id"] in errors and _wait(tx, row, errors, now)]
        ended += [row["signal_id"] for row in given_up]
        queues = _go_on(tx, [row for row in known if row["action_id"] not in changed], held, services, now)
        dispositions.settle(tx, ended, now)
        touch(tx, [*changed, *(row["action_id"] for row in given_up)], now)
        crash_point("recheck.written", rows)
    return queues


def _error(signal_id: uuid.UUID, found: Grounds, facts: Mapping[uuid.UUID, Outcome]) -> RevpipeError | None:
    fresh = found.broken.get(signal_id) or facts.get(signal_id)
    if fresh is None:
        return NoGrounds("its plan or its context is not in the ledger any more")
    return fresh if isinstance(fresh, RevpipeError) else None


class NoGrounds(Permanent):
    """What the plan stood on is gone, so that nobody can tell whether it holds."""

    code = "no_grounds"


def _wait(tx: Connection, row: Row, errors: Mapping[uuid.UUID, RevpipeError], now: datetime) -> bool:
    """Look again later, as stage enrich does while a vendor is down; True if it was given up instead."""
    return outcomes.not_asked(tx, row, errors[row["action_id"]], now)


def _judge(
    tx: Connection,
    rows: Sequence[Row],
    found: Grounds,
    facts: Mapping[uuid.UUID, Outcome],
    services: Services,
    now: datetime,
) -> dict[uuid.UUID, Change]:
    """What holds no more, by action. An action of which all holds is not in it."""
    reach = services.rules.longest_cooldown
    lately = plan_history.read(tx, sorted({row["subject"] for row in rows}), now, reach)
    kept = recipients.kept_from(tx, rows, services.policy, now)
    changed: dict[uuid.UUID, Change] = {}
    for row in rows:
        parts = facts[row["signal_id"]]
        if isinstance(parts, RevpipeError):
            continue
        ground = found.found[row["signal_id"]]
        case = Case(ground.row, ground.signal, parts, contexts.subject(ground.signal, parts), carries=ground.carries)
        change = _change(row, ground, case, lately[row["subject"]], services, now)
        if change is None and row["action_id"] in kept:
            change = Change(kept[row["action_id"]])
        if change is not None:
            changed[row["action_id"]] = change
    return changed


def _change(row: Row, ground: Ground, case: Case, lately: Known, services: Services, now: datetime) -> Change | None:
    """The first fact that holds no more."""
    change = changed_facts.of_deal(ground.parts, case.parts)
    change = change or changed_facts.of_contact(row["type"], case.parts, ground.planned_at)
    change = change or changed_facts.of_plans(row, lately.actions)
    if change is not None or row["rule_id"] == RULE:
        return change
    same = ground.rules_version == services.rules.version
    book = services.rules if same else grounds.book_of(ground.rules)
    before = changed_facts.without(lately, ground.actions, ground.planned_at)
    return changed_facts.of_rule(row["rule_id"], book, case, before, now)


def _cancel(tx: Connection, changed: Sequence[tuple[Row, Change]], now: datetime) -> list[uuid.UUID]:
    """End actions whose facts hold no more, each with what it was and is; returns their signals."""
    entries = []
    for row, change in changed:
        values = {"id": row["action_id"], "reason": change.reason, "now": now}
        tx.execute(sql(_CANCEL), values)
        told = {name: value for name, value in (("was", change.was), ("is", change.now)) if value is not None}
        detail = {"type": row["type"], "reason": change.reason, **told, "worker": work.worker_name()}
        entries.append(_entry("cancelled", row, detail))
    trail.record(tx, now, entries)
    return [row["signal_id"] for row, _ in changed]


_CANCEL: Final = (
    "UPDATE actions SET state = 'cancelled', reason = :reason, done_at = :now, queue = NULL, claim_id = NULL,"
    " lease_until = NULL WHERE action_id = :id"
)


def _go_on(tx: Connection, rows: Sequence[Row], held: Claim, services: Services, now: datetime) -> list[str]:
    """What holds goes to its adapter; in quiet hours it is looked at again when they are over."""
    ready, entries = [], []
    for row in rows:
        quiet = services.policy[row["type"]].quiet
        until = quiet.until(now) if quiet is not None else None
        if until is None:
            ready.append(row)
            spent = {"type": row["type"], "attempt": row["attempts"], **held.spent(row, now)}
            entries.append(_entry("rechecked", row, spent | {"worker": work.worker_name()}))
        else:
            spared = {"reason": QUIET, "attempts": max(0, row["attempts"] - 1)}
            work.postpone(tx, ACTIONS, [row["action_id"]], until, spared)
            wait = round((until - now).total_seconds(), 1)
            entries.append(_entry("postponed", row, {"type": row["type"], "reason": QUIET, "wait_s": wait}))
    trail.record(tx, now, entries)
    return make_ready(tx, ready, now)


def _entry(what: str, row: Row, detail: Mapping[str, Any]) -> trail.Entry:
    return trail.Entry(what, row["signal_id"], row["action_id"], row["correlation_id"], detail)
