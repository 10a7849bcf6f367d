"""Whom what a person is shown belongs to: reps see and decide what is their own, the others all."""

from collections.abc import Sequence

from flask import abort
from sqlalchemy import Connection

from revpipe import approvals
from revpipe.approvals import View
from revpipe.story.causal import Causal
from revpipe.web.access import current_user, is_own, own_only


def waiting(tx: Connection, limit: int) -> list[View]:
    """The open requests that this person may see, the first to expire in front."""
    if not own_only():
        return approvals.inbox(tx, limit=limit)
    found: Sequence[View] = [
        view
        for owner_id in sorted(current_user().owners)
        for view in approvals.inbox(tx, owner_id=owner_id, limit=limit)
    ]
    return sorted(found, key=lambda view: (view.expires_at, view.action_id))[:limit]


def visible(view: View | None) -> View:
    """A request that this person may see; 404 for any other, as if it were not there."""
    if view is None or not _mine(view):
        abort(404, "There is no such request for approval, or it is not yours to see.")
    return view


def visible_signal(found: Causal | None) -> Causal:
    """A signal that this person may see; 404 for any other, as if it were not there."""
    deal = next((part.value for part in found.parts if part.name == "deal"), None) if found else None
    owner_id = str((deal or {}).get("owner_id") or "") or None
    asked = [one.approval.row.get("approver_user_id") for one in found.actions if one.approval] if found else []
    if found is None or (
        own_only() and not any(is_own(current_user(), owner_id=owner_id, approver_id=one) for one in asked or [None])
    ):
        abort(404, "There is no such signal, or it is not yours to see.")
    return found


def _mine(view: View) -> bool:
    asked = view.approver.get("user_id")
    return not own_only() or is_own(current_user(), owner_id=view.owner_id, approver_id=asked)
