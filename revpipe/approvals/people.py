"""Who is asked for a word on an action, and whose word counts."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.action_policy import OWNER, ROLES, STAND_IN, ActionPolicy
from revpipe.actors import Actor
from revpipe.approvals.errors import NotAllowed
from revpipe.db import sql

FALLBACK_ROLE: Final = "operator"
"""Who is asked where nobody in particular can be."""
VIEWER: Final = "viewer"
ANYTHING: Final = ("cli", "policy")
"""Ways by which anything may be decided: an operator at the machine, and policy itself."""


@dataclass(frozen=True, slots=True)
class Approver:
    """Who is asked: a user, or everybody with a role."""

    user_id: uuid.UUID | None = None
    email: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Active users by the CRM's owner id, and by user id."""

    by_owner: Mapping[str, Mapping[str, Any]]
    by_id: Mapping[uuid.UUID, Mapping[str, Any]]

    def asked(self, owner_id: str | None, policy: ActionPolicy) -> Approver:
        """The first of the policy's approvers that there is."""
        for word in policy.approvers:
            if word in ROLES:
                return Approver(role=word)
            user = self._named(word, owner_id)
            if user is not None:
                return Approver(user["user_id"], user["email"])
        return Approver(role=FALLBACK_ROLE)

    def next_after(self, approval: Mapping[str, Any], policy: ActionPolicy) -> Approver:
        """Who is asked when the approver did not answer: the owner's stand-in if policy names one, else a role."""
        user = self._named(STAND_IN, approval["owner_id"]) if STAND_IN in policy.approvers else None
        if user is not None and user["user_id"] != approval["approver_user_id"]:
            return Approver(user["user_id"], user["email"])
        roles = [word for word in policy.approvers if word in ROLES]
        return Approver(role=roles[0] if roles else FALLBACK_ROLE)

    def _named(self, word: str, owner_id: str | None) -> Mapping[str, Any] | None:
        owner = self.by_owner.get(owner_id or "")
        if owner is None:
            return None
        found = owner if word == OWNER else self.by_id.get(owner["stand_in"])
        # Who may only look could give no answer.
        return found if found and found["active"] and found["role"] != VIEWER else None


def read(tx: Connection, owner_ids: Iterable[str | None]) -> People:
    """The owners among `owner_ids` that are users, and their stand-ins. An owner on leave still has a stand-in."""
    wanted = sorted({one for one in owner_ids if one})
    if not wanted:
        return People({}, {})
    owners = _users(tx, "owner_id = ANY(:wanted)", wanted)
    stand_ins = sorted(one["stand_in"] for one in owners if one["stand_in"])
    others = _users(tx, "user_id = ANY(:wanted) AND active", stand_ins) if stand_ins else []
    # Of a person who left and one who took the deals over, the one who is there counts.
    by_owner = {one["owner_id"]: one for one in sorted(owners, key=lambda one: bool(one["active"]))}
    return People(by_owner, {one["user_id"]: one for one in others})


def check(tx: Connection, actor: Actor, approval: Mapping[str, Any], policy: ActionPolicy) -> None:
    """Raise NotAllowed unless policy lets `actor` speak on this approval."""
    if actor.way in ANYTHING:
        return
    user = _user(tx, actor.user_id)
    if user is None or not user["active"]:
        raise NotAllowed(f"{actor.name} is no user here who may decide")
    if user["role"] == VIEWER:
        raise NotAllowed("a viewer can't decide")
    if user["role"] == "admin" or user["user_id"] == approval["approver_user_id"]:
        return
    if user["role"] == approval["approver_role"] or user["role"] in policy.approvers:
        return
    if approval["owner_id"] and _stands_for(tx, user, approval["owner_id"], policy):
        return
    raise NotAllowed("this is another's deal: its owner, their stand-in or an operator decides")


def _stands_for(tx: Connection, user: Mapping[str, Any], owner_id: str, policy: ActionPolicy) -> bool:
    if OWNER in policy.approvers and user["owner_id"] == owner_id:
        return True
    if STAND_IN not in policy.approvers:
        return False
    return any(one["stand_in"] == user["user_id"] for one in _users(tx, "owner_id = ANY(:wanted)", [owner_id]))


def _user(tx: Connection, user_id: uuid.UUID | None) -> Mapping[str, Any] | None:
    return next(iter(_users(tx, "user_id = ANY(:wanted)", [user_id])), None) if user_id else None


def _users(tx: Connection, where: str, wanted: list[Any]) -> list[Mapping[str, Any]]:
    found = tx.execute(
        sql(f"SELECT user_id, email, role, owner_id, stand_in, active FROM users WHERE {where}"),  # noqa: S608
        {"wanted": wanted},
    )
    return [dict(row) for row in found.mappings()]
