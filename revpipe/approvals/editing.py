"""Changing what an action would do before anybody agrees to it. Every version is kept."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import bulk, trail
from revpipe.action_policy import ActionPolicy
from revpipe.actors import Actor
from revpipe.approvals import people
from revpipe.approvals.entries import by, entry
from revpipe.approvals.errors import BadEdit
from revpipe.approvals.held import hold
from revpipe.approvals.view import params_of
from revpipe.db import sql, to_json, transaction
from revpipe.errors import Permanent
from revpipe.recipients import ADDRESSED, address_of
from revpipe.services import Services
from revpipe.suppressions import is_address
from revpipe.text_limits import fault_of

ONE_LINE: Final = ("to", "subject", "title", "channel", "link")
LARGEST: Final = 200_000
"""Bytes of all params as JSON."""
MOST_VERSIONS: Final = 200


def edit(services: Services, action_id: uuid.UUID, actor: Actor, version: int, changes: Mapping[str, Any]) -> int:
    """Change params of the version that was seen; returns the number of the new one.

    An edit that changes nothing makes no version. Raises NoApproval, AlreadyDecided, VersionMoved, NotAllowed, and
    BadEdit for what policy, our limits or the adapter would not take.
    """
    now = services.clock.now()
    with transaction(services.engine) as tx:
        held = hold(tx, action_id, version)
        policy = services.policy[held["type"]]
        people.check(tx, actor, held, policy)
        before = params_of(tx, held)
        after = {**before, **changes}
        _check_fields(changes, policy)
        _check_whole(held["type"], after, services)
        if after == before:
            return version
        if version >= MOST_VERSIONS:
            raise BadEdit(f"it was edited {version - 1} times; approve or reject it")
        _keep(tx, held, before, after, actor, now)
        fields = sorted(name for name in after if after.get(name) != before.get(name))
        trail.record(tx, now, [entry("edited", held, by(actor, version=version + 1, fields=fields))])
    return version + 1


def _check_fields(changes: Mapping[str, Any], policy: ActionPolicy) -> None:
    for name, value in changes.items():
        if name not in policy.editable:
            can = ", ".join(policy.editable) or "nothing"
            raise BadEdit(f"{name[:40]!r} can't be changed here; of {policy.type} one may change: {can}")
        for text in _texts(value):
            if fault := fault_of(text, one_line=name in ONE_LINE):
                raise BadEdit(f"{name} {fault}")


def _check_whole(type: str, params: Mapping[str, Any], services: Services) -> None:
    if type in ADDRESSED and (address := address_of(type, params)) is not None and not is_address(address):
        raise BadEdit(f"to must be one e-mail address, not {str(params['to'])[:60]!r}")
    if len(to_json(params).encode(errors="replace")) > LARGEST:
        raise BadEdit(f"it is too large: all of it together may have {LARGEST:,} bytes")
    check = services.checks.get(type)
    if check is None:
        raise BadEdit(f"nobody here can tell whether a changed {type} could be carried out")
    try:
        check(params)
    except Permanent as error:
        raise BadEdit(str(error)) from error


def _keep(
    tx: Connection,
    held: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> None:
    """With the first edit the version before it is kept as well: the action's own params will be written over."""
    new: dict[str, Any] = {"approval_id": held["approval_id"], "version": held["version"] + 1, "params": after}
    rows = [{**new, "by": actor.name, "way": actor.way, "at": now}]
    if held["version"] == 1:
        first = {"version": 1, "params": before, "by": held["planned_by"], "way": "policy", "at": held["created_at"]}
        rows.insert(0, {**new, **first})
    bulk.insert(tx, "approval_versions", rows)
    tx.execute(
        sql(
            "UPDATE approvals SET version = version + 1, revision = revision + 1, changed_at = :now"
            " WHERE approval_id = :id"
        ),
        {"now": now, "id": held["approval_id"]},
    )


def _texts(value: Any) -> list[str]:
    """All texts within a value, names of fields too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for pair in value.items() for one in pair for text in _texts(one)]
    return [text for one in value for text in _texts(one)] if isinstance(value, list | tuple) else []
