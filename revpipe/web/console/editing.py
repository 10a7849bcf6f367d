"""`/console/approvals/<action_id>/edit`: a draft in a form, what an edit changes, and a new version of it."""

import uuid
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from revpipe import approvals
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.web.access import acting, allowed
from revpipe.web.console import shown
from revpipe.web.console.approval import REFUSALS, Said, decided, sentence
from revpipe.web.console.diffs import changes
from revpipe.web.console.fields import BadNumber, fields, typed
from revpipe.web.console.shown import Shown
from revpipe.web.console.whose import visible
from revpipe.web.current import services

blueprint = Blueprint("console_edit", __name__, url_prefix="/console/approvals/<uuid:action_id>/edit")


@blueprint.get("")
@allowed("approvals.decide")
def form(action_id: uuid.UUID) -> str | Answer:
    """The draft to be changed; a request that was decided meanwhile is shown instead."""
    one = _one(action_id)
    if not one.open:
        return redirect(url_for("console_request.show", action_id=action_id), 303)
    return _form(one)


@blueprint.post("")
@allowed("approvals.decide")
def save(action_id: uuid.UUID) -> str | tuple[str, int] | Said:
    """Keep the edit as a new version, and approve that if the person says so; or show what it would change.

    `onto` is the newest version, for an edit that was begun on a former one: shown against it, it may be saved on it.
    """
    one = _one(action_id)
    try:
        wanted = typed(one.view.params, request.form, _editable(one))
    except BadNumber as error:
        return _form(one, fault=sentence(error)), 422
    if "show" in request.form or "onto" in request.form:
        return _form(one, wanted=wanted)
    version = _seen()
    if version is None:
        fault = "The form did not say which version it showed. See what your edit changes, then save it."
        return _form(one, fault=fault, wanted=wanted), 422
    if wanted:
        try:
            version = approvals.edit(services(), action_id, acting(), version, wanted)
        except Permanent as error:
            return _form(_one(action_id), fault=sentence(error), wanted=wanted), REFUSALS.get(type(error), 422)
    if "approve" in request.form:
        return decided(action_id, lambda: approvals.approve(services(), action_id, acting(), version))
    flash(f"Version {version} is kept: {one.title}" if wanted else "Nothing was changed.", "good" if wanted else "")
    return redirect(url_for("console_request.show", action_id=action_id), 303)


@blueprint.post("/changes")
@allowed("approvals.decide")
def preview(action_id: uuid.UUID) -> str:
    """What the edit changes so far, while it is typed."""
    one = _one(action_id)
    try:
        wanted = typed(one.view.params, request.form, _editable(one))
    except BadNumber as error:
        return render_template("console/changes.html", found=[], fault=sentence(error))
    return render_template("console/changes.html", found=changes(one.view.params, {**one.view.params, **wanted}))


def _one(action_id: uuid.UUID) -> Shown:
    with transaction(services().engine) as tx:
        view = visible(approvals.view(tx, action_id))
    return shown.of(view, services().clock.now())


def _editable(one: Shown) -> tuple[str, ...]:
    """Which params policy lets people change."""
    policy = services().policy.get(one.view.type)
    return () if policy is None else policy.editable


def _form(one: Shown, fault: str = "", wanted: Mapping[str, Any] | None = None) -> str:
    """The form with what was typed last, or else with the draft as it is."""
    params, version = one.view.params, _seen() or one.view.version
    return render_template(
        "console/editing.html",
        one=one,
        fields=fields(params, _editable(one)),
        given=request.form,
        version=version,
        fault=fault,
        found=changes(params, {**params, **wanted}) if wanted is not None else None,
    )


def _seen() -> int | None:
    """The version that the edit was begun on, or put on since; None for a form that does not say."""
    return request.form.get("onto", type=int) or request.form.get("version", type=int)
