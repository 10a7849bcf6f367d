"""A person's yes or no: one word counts, whoever else speaks at the same moment."""

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from revpipe import audit, dispositions, feed, trail
from revpipe.actors import Actor
from revpipe.approval_changes import touch
from revpipe.approvals import people
from revpipe.approvals.entries import by, entry
from revpipe.approvals.errors import NotAllowed
from revpipe.approvals.held import decide, hold
from revpipe.approvals.view import params_of
from revpipe.crash import crash_point
from revpipe.db import sql, to_json, transaction
from revpipe.errors import Permanent
from revpipe.recipients import address_of
from revpipe.releases import to_recheck
from revpipe.services import Services
from revpipe.text_limits import fault_of

LONGEST_REASON = 2000


def approve(
    services: Services,
    action_id: uuid.UUID,
    actor: Actor,
    version: int | None = None,
    *,
    also: Callable[[Connection], None] | None = None,
) -> str:
    """A person's yes to what they saw as `version` (None: as it is): the facts are looked at again, then it goes out.

    `also` is done in the same transaction, and undoes all by raising. Returns the approval's state: `approved`, or
    `open` where policy wants more people to agree. Raises NoApproval, AlreadyDecided, VersionMoved, NotAllowed.
    """
    now = services.clock.now()
    queues: list[str] = []
    with transaction(services.engine) as tx:
        held = hold(tx, action_id, version)
        if also:
            also(tx)
        policy = services.policy[held["type"]]
        people.check(tx, actor, held, policy)
        if not policy.self_approval:
            _not_by_its_writer(tx, actor, held)
        state = "approved" if _agreed(tx, actor, held, now) else "open"
        if state == "approved":
            queues = release(tx, held, actor, None, now)
        crash_point("approval.written")
    feed.offer(services, queues)
    return state


def reject(
    services: Services,
    action_id: uuid.UUID,
    actor: Actor,
    reason: str | None = None,
    version: int | None = None,
    *,
    also: Callable[[Connection], None] | None = None,
) -> str:
    """A person's no, with a reason: the action ends without effect. Returns `rejected`.

    `version` and `also` are as for `approve`. Raises NoApproval, AlreadyDecided, VersionMoved, NotAllowed; Permanent
    for a reason that can't be kept.
    """
    now = services.clock.now()
    said = _sound(reason)
    with transaction(services.engine) as tx:
        held = hold(tx, action_id, version)
        if also:
            also(tx)
        people.check(tx, actor, held, services.policy[held["type"]])
        decide(tx, held, "rejected", actor.name, actor.way, said, now)
        end(tx, [held], "rejected", "rejected_by_person", now)
        trail.record(tx, now, [entry("rejected", held, by(actor))])
        dispositions.settle(tx, [held["signal_id"]], now)
        crash_point("approval.written")
    return "rejected"


def release(tx: Connection, held: Mapping[str, Any], actor: Actor, why: str | None, now: datetime) -> list[str]:
    """Decide for it, and send the action with the params of the approved version to be looked at again.

    Returns the queues to offer after the commit.
    """
    decide(tx, held, "approved", actor.name, actor.way, why, now)
    if held["version"] > 1:
        params = params_of(tx, held)
        tx.execute(
            sql("UPDATE actions SET params = CAST(:params AS jsonb), recipient = :to WHERE action_id = :id"),
            {"params": to_json(params), "to": address_of(held["type"], params), "id": held["action_id"]},
        )
    queues = to_recheck(tx, [held], now)
    version = held["version"] if held["version"] > 1 else None
    trail.record(tx, now, [entry("approved", held, by(actor, version=version))])
    return queues


def end(tx: Connection, helds: list[Mapping[str, Any]], state: str, reason: str, now: datetime) -> None:
    """End actions without effect."""
    tx.execute(
        sql(
            "UPDATE actions SET state = :state, reason = :reason, done_at = :now, queue = NULL"
            " WHERE action_id = ANY(:ids)"
        ),
        {"state": state, "reason": reason, "now": now, "ids": sorted(held["action_id"] for held in helds)},
    )


def _agreed(tx: Connection, actor: Actor, held: Mapping[str, Any], now: datetime) -> bool:
    """Whether enough people agree now to this version, this one among them. Who agrees twice counts once.

    At the terminal one word is enough: whoever may use it may change the policy, too.
    """
    if held["needed"] <= 1 or actor.way == "cli":
        return True
    values = {"id": held["approval_id"], "by": actor.name, "version": held["version"], "way": actor.way, "now": now}
    tx.execute(
        sql(
            "INSERT INTO approval_votes (approval_id, by, version, way, at) VALUES (:id, :by, :version, :way, :now)"
            " ON CONFLICT (approval_id, by) DO UPDATE SET version = :version, way = :way, at = :now"
        ),
        values,
    )
    agreed = tx.execute(
        sql("SELECT count(*) FROM approval_votes WHERE approval_id = :id AND version = :version"), values
    ).scalar_one()
    if agreed >= held["needed"]:
        return True
    touch(tx, [held["action_id"]], now)
    # Only the last yes is told by the decision itself; those before it are sealed as acts.
    told = {"action": str(held["action_id"]), "version": held["version"], "way": actor.way}
    audit.write(tx, now, actor.name, "approvals agree", told)
    trail.record(tx, now, [entry("agreed", held, by(actor, agreed=agreed, needed=held["needed"]))])
    return False


def _not_by_its_writer(tx: Connection, actor: Actor, held: Mapping[str, Any]) -> None:
    writer = tx.execute(
        sql("SELECT by FROM approval_versions WHERE approval_id = :id AND version = :version AND version > 1"),
        {"id": held["approval_id"], "version": held["version"]},
    ).scalar()
    if writer == actor.name and actor.way not in people.ANYTHING:
        raise NotAllowed("whoever edited this can't agree to it as well: policy wants a second person")


def _sound(reason: str | None) -> str | None:
    said = (reason or "").strip()[:LONGEST_REASON]
    if fault := fault_of(said):
        raise Permanent(f"the reason {fault}")
    return said or None
