"""Approvals in words, the same in every place that shows them: who is asked, what an edit changed, what comes next."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from revpipe.action_policy import ESCALATE, EXECUTE, EXPIRE, REJECT, ActionPolicy
from revpipe.approvals.view import View

AT_EXPIRY: Final = {
    EXECUTE: "it is carried out, if its facts still hold",
    ESCALATE: "somebody else is asked",
    REJECT: "it is rejected",
    EXPIRE: "it ends without effect",
}
CONTEXT: Final = 1
"""Lines that are shown round a changed one."""


def ending(found: View, policy: ActionPolicy | None, *, delivered: bool = False) -> str:
    """What policy does when the time of an open approval is up, as things are now: one of its words.

    With `delivered` the approver surely has the request by the time that this is read.
    """
    if policy is None:
        return EXPIRE
    return policy.at_expiry(
        found.on_expiry,
        risk=found.risk,
        planned_by=found.decided_by,
        delivered=delivered or found.delivered_at is not None,
        edited=found.version > 1,
        escalated=found.escalated_at is not None,
    )


def endings(found: View, policy: ActionPolicy | None) -> str:
    """The same in words."""
    return AT_EXPIRY[ending(found, policy)]


def whom(found: View) -> str:
    """Who is asked: a user by e-mail, or all with a role."""
    if found.approver["email"]:
        return str(found.approver["email"])
    return f"anybody with the role {found.approver['role']}"


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What an edit changed, param by param, as lines with - for what went and + for what came."""
    for name in sorted({*before, *after}):
        old, new = _text(before.get(name)), _text(after.get(name))
        if old == new:
            continue
        yield f"{name}:"
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=CONTEXT)
        yield from (line for line in lines if not line.startswith(("---", "+++", "@@")))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
