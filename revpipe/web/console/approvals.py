"""`/console/approvals`: the inbox, and its queue by itself for whoever looks again every second."""

import uuid

from flask import Blueprint, Response, make_response, render_template, request
from sqlalchemy import Connection

from revpipe import approvals
from revpipe.approvals import View
from revpipe.db import transaction
from revpipe.web.access import allowed, may, own_only
from revpipe.web.console import inbox, shown, whose
from revpipe.web.console.inbox import Inbox
from revpipe.web.console.shown import Shown
from revpipe.web.current import services

blueprint = Blueprint("console_inbox", __name__, url_prefix="/console/approvals")


@blueprint.get("")
@allowed("approvals.read")
def listing() -> str:
    """The inbox, with the request that expires first beside it."""
    now = services().clock.now()
    with transaction(services().engine) as tx:
        found = inbox.read(tx, now)
        first = found.waiting[0] if found.waiting else None
    return page(found, first, chosen=False)


@blueprint.get("/queue")
@allowed("approvals.read")
def queue() -> Response:
    """The queue alone, and how the chosen request stands; 304 by one cheap question while nothing has changed."""
    now = services().clock.now()
    own_only()
    with transaction(services().engine) as tx:
        known = inbox.mark(tx)
        if request.if_none_match.contains(known):
            return Response(status=304)
        found = inbox.read(tx, now)
        view = _chosen(tx)
    answer = make_response(
        render_template(
            "console/queue.html",
            inbox=found,
            one=shown.of(view, now) if view else None,
            seen_version=request.args.get("version", type=int),
            seen_state=request.args.get("state", ""),
            live=True,
        )
    )
    answer.set_etag(found.mark)
    return answer


@blueprint.get("/standing")
@allowed("approvals.read")
def standing() -> Response:
    """How the request that is being edited stands; 204 while there is nothing to say about it."""
    own_only()
    now = services().clock.now()
    with transaction(services().engine) as tx:
        view = _chosen(tx)
    seen_version, seen_state = request.args.get("version", type=int), request.args.get("state", "")
    if view is None or (view.state == seen_state and view.version == seen_version):
        return Response(status=204)
    one = shown.of(view, now)
    return make_response(
        render_template("console/standing.html", one=one, seen_version=seen_version, seen_state=seen_state)
    )


def page(found: Inbox, one: Shown | None, *, chosen: bool, fault: str = "") -> str:
    """The inbox with one request beside it; `chosen` says that a person asked for just that one."""
    return render_template(
        "console/approvals.html",
        inbox=found,
        one=one,
        chosen=chosen,
        fault=fault,
        seen_version=one.view.version if one else None,
        seen_state=one.view.state if one else "",
        alike=inbox.alike(one.view, found.waiting) if one else [],
        may_decide=may("approvals.decide"),
    )


def _chosen(tx: Connection) -> View | None:
    try:
        action_id = uuid.UUID(request.args.get("chosen", ""))
    except ValueError:
        return None
    view = approvals.view(tx, action_id)
    return whose.visible(view) if view else None
