"""`/console/approvals/<action_id>/alike`: equal actions of low risk, seen side by side and approved together."""

import uuid
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from revpipe import approvals
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.web.access import acting, allowed
from revpipe.web.console import inbox, shown
from revpipe.web.console.approval import sentence
from revpipe.web.console.shown import Shown
from revpipe.web.console.whose import visible
from revpipe.web.current import services

blueprint = Blueprint("console_alike", __name__, url_prefix="/console/approvals/<uuid:action_id>/alike")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one of them; `fault` is empty where it was approved."""

    action_id: uuid.UUID
    title: str
    about: str
    fault: str


@blueprint.get("")
@allowed("approvals.decide")
def show(action_id: uuid.UUID) -> str | Answer:
    """All that are like this one, each with what is its own; alone it has its own page."""
    found = _alike(action_id)
    if not found:
        return redirect(url_for("console_request.show", action_id=action_id), 303)
    return render_template("console/alike.html", found=found, outcomes=None, action_id=action_id)


@blueprint.post("")
@allowed("approvals.decide")
def approve(action_id: uuid.UUID) -> str:
    """Approve those that were ticked, each in its own right: one that moved meanwhile holds up no other."""
    named = filter(None, map(shown.versioned, request.form.getlist("ticked")))
    outcomes = [_approve(one, version) for one, version in list(dict(named).items())[: inbox.PAGE]]
    return render_template("console/alike.html", found=_alike(action_id), outcomes=outcomes, action_id=action_id)


def _approve(action_id: uuid.UUID, version: int) -> Outcome:
    now = services().clock.now()
    with transaction(services().engine) as tx:
        one = shown.of(visible(approvals.view(tx, action_id)), now)
    fault = ""
    if one.open and shown.alike(one.view) is None:
        fault = "It is not of low risk, or was edited meanwhile: look at it by itself."
    else:
        try:
            approvals.approve(services(), action_id, acting(), version)
        except Permanent as error:
            fault = sentence(error)
    return Outcome(action_id, one.title, one.about, fault)


def _alike(action_id: uuid.UUID) -> list[Shown]:
    now = services().clock.now()
    with transaction(services().engine) as tx:
        view = visible(approvals.view(tx, action_id))
        return inbox.alike(view, inbox.read(tx, now).waiting)
