"""`/api/v1/approvals`: what waits for a person's word, and the word."""

import re
import uuid
from typing import Any, Final

from flask import abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from revpipe import approvals, payloads
from revpipe.approvals import View
from revpipe.db import transaction
from revpipe.lists.walks import Mark, Page
from revpipe.web import access
from revpipe.web.access import allowed
from revpipe.web.api import own, paging
from revpipe.web.api.approval_schemas import ApprovalPage, ApprovalQuery, ApprovalWhole, Edit, Rejection
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.once import once
from revpipe.web.current import services

blueprint = ApiBlueprint("approvals", "/approvals", "What waits for a person's word, and the word.")

KIND = "approvals"
NONE = "No approval is asked for this action; list those that are open with GET /api/v1/approvals."
UNSEEN = (
    'Say which version you have seen: If-Match with the ETag of GET /api/v1/approvals/<action_id>, or with "<version>".'
)
_VERSION: Final = re.compile(r'"(\d{1,6})(?:-\d{1,9})?"')
_WORD: Final = {"action_id": "$response.body#/items/0/action_id"}


@blueprint.route("")
@allowed("approvals.read")
@blueprint.links(
    approval={"operationId": "approval", "parameters": _WORD},
    approve={"operationId": "approve", "parameters": _WORD},
    reject={"operationId": "reject", "parameters": _WORD},
    edit={"operationId": "edit", "parameters": _WORD},
    next_approvals={"operationId": "approvals", "parameters": {"after": "$response.body#/next"}},
)
@blueprint.problems(404)
@blueprint.arguments(ApprovalQuery, location="query")
@blueprint.response(200, ApprovalPage)
@blueprint.doc(operationId="approvals")
def list_(asked: dict[str, Any]) -> dict[str, Any]:
    """Approvals, the one that expires first in front; without `state` those that are open."""
    after, owners = paging.mark(KIND, asked.get("after")), own.owners()
    if asked.get("owner_id") is not None:
        access.must_own(owner_id=asked["owner_id"])
        owners = frozenset({asked["owner_id"]})
    with transaction(services().engine) as tx:
        return paging.answer(KIND, _page(tx, asked, owners, after))


@blueprint.route("/<uuid:action_id>")
@allowed("approvals.read")
@blueprint.problems(404)
@blueprint.response(200, ApprovalWhole)
@blueprint.doc(operationId="approval")
def show(action_id: uuid.UUID) -> ResponseReturnValue:
    """The approval of one action, with every version of it. Its ETag is what the writes below take as If-Match."""
    return _shown(action_id)


@blueprint.route("/<uuid:action_id>/approve", methods=["POST"])
@allowed("approvals.decide")
@blueprint.problems(404, 409, 412, 428)
@blueprint.headers("if_match", "idempotency_key")
@once
@blueprint.response(200, ApprovalWhole)
@blueprint.doc(operationId="approve")
def approve(action_id: uuid.UUID) -> ResponseReturnValue:
    """Yes: the action is carried out as the version says that you have seen, if its facts still hold."""
    version = _seen()
    _demand_mine(action_id)
    approvals.approve(services(), action_id, access.acting(), version)
    return _shown(action_id)


@blueprint.route("/<uuid:action_id>/reject", methods=["POST"])
@allowed("approvals.decide")
@blueprint.problems(404, 409)
@blueprint.headers("idempotency_key")
@blueprint.arguments(Rejection)
@once
@blueprint.response(200, ApprovalWhole)
@blueprint.doc(operationId="reject")
def reject(asked: dict[str, Any], action_id: uuid.UUID) -> ResponseReturnValue:
    """No, and why: the action ends without effect."""
    _demand_mine(action_id)
    approvals.reject(services(), action_id, access.acting(), asked["reason"])
    return _shown(action_id)


@blueprint.route("/<uuid:action_id>", methods=["PATCH"])
@allowed("approvals.decide")
@blueprint.problems(404, 409, 412, 428)
@blueprint.headers("if_match", "idempotency_key")
@blueprint.arguments(Edit)
@once
@blueprint.response(200, ApprovalWhole)
@blueprint.doc(operationId="edit")
def edit(asked: dict[str, Any], action_id: uuid.UUID) -> ResponseReturnValue:
    """Other words for what is to be done. It still waits for a yes, in its new version."""
    version, changes = _seen(), asked["changes"]
    payloads.check_storable(changes)
    found = _demand_mine(action_id)
    approvals.edit(services(), action_id, access.acting(), found.version if version is None else version, changes)
    return _shown(action_id)


def _page(tx: Connection, asked: dict[str, Any], owners: frozenset[str] | None, after: Mark | None) -> Page:
    """A page of everybody's, or of the deals of some owners together."""
    limit, state = asked["limit"], asked["state"]
    begin = None if after is None else (after.at, after.id)
    found: list[View] = []
    for owner in (None,) if owners is None else sorted(owners):
        found += approvals.inbox(tx, owner_id=owner, state=state, limit=limit + 1, after=begin)
    found.sort(key=lambda one: (one.expires_at, one.action_id))
    more = Mark(found[limit - 1].expires_at, found[limit - 1].action_id) if len(found) > limit else None
    return Page(list(found[:limit]), more)  # type: ignore[arg-type]


def _seen() -> int | None:
    """The version that the caller has seen; None for `*`. Aborts with 428 without one, with 422 for anything else."""
    given = request.headers.get("If-Match", "").strip()
    if not given:
        abort(428, UNSEEN)
    found = _VERSION.fullmatch(given)
    if found is None and given != "*":
        abort(422, UNSEEN)
    return int(found[1]) if found else None


def _demand_mine(action_id: uuid.UUID) -> View:
    with transaction(services().engine) as tx:
        found = approvals.view(tx, action_id)
    if found is None:
        abort(404, NONE)
    access.must_own(owner_id=found.owner_id, approver_id=found.approver.get("user_id"))
    return found


def _shown(action_id: uuid.UUID) -> ResponseReturnValue:
    found = _demand_mine(action_id)
    return found, 200, {"ETag": f'"{found.version}-{found.revision}"'}  # type: ignore[return-value]
