"""`/console/approvals/<action_id>`: one request, where Slack and e-mails lead to, and a person's word on it."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from flask import Blueprint, flash, redirect, request, url_for
from werkzeug.wrappers import Response as Answer

from revpipe import approvals
from revpipe.approvals import AlreadyDecided, NoApproval, NotAllowed, VersionMoved
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.web.access import acting, allowed
from revpipe.web.console import inbox, shown
from revpipe.web.console.approvals import page
from revpipe.web.console.shown import Shown
from revpipe.web.console.whose import visible
from revpipe.web.current import services

blueprint = Blueprint("console_request", __name__, url_prefix="/console/approvals/<uuid:action_id>")

REFUSALS: Final[Mapping[type[Exception], int]] = {
    AlreadyDecided: 409,
    VersionMoved: 409,
    NotAllowed: 403,
    NoApproval: 404,
}
"""What a decision may meet, and how its page answers; anything else is a fault in what was typed."""
LONGEST_REASON: Final = 500
Said = Answer | tuple[str, int, dict[str, str]]


@blueprint.get("")
@allowed("approvals.read")
def show(action_id: uuid.UUID) -> str:
    """One request with its draft, its reason and what can be done about it."""
    _read(action_id)
    # Before it is told what comes next: whether the approver has it decides that.
    approvals.seen(services(), action_id, acting())
    return _page(action_id)


@blueprint.post("/approve")
@allowed("approvals.decide")
def approve(action_id: uuid.UUID) -> Said:
    """Yes to the version that the page showed; a newer one is shown instead of approved."""
    version = request.form.get("version", type=int)
    if version is None:
        return _refused(action_id, "The form did not say which version it showed. Look at it again.", 422)
    return decided(action_id, lambda: approvals.approve(services(), action_id, acting(), version))


@blueprint.post("/reject")
@allowed("approvals.decide")
def reject(action_id: uuid.UUID) -> Said:
    """No, with the reason that was typed."""
    reason = request.form.get("reason", "").strip()
    if not reason:
        return _refused(action_id, "Say why you reject it: whoever wrote the rule can learn from it.", 422)
    return decided(action_id, lambda: approvals.reject(services(), action_id, acting(), reason[:LONGEST_REASON]))


def decided(action_id: uuid.UUID, do: Callable[[], Any]) -> Said:
    """Do it and go on to the next request; or the page of this one, saying why it was not done."""
    one = _read(action_id)
    with transaction(services().engine) as tx:
        below = inbox.read(tx, services().clock.now()).after(action_id)
    try:
        do()
    except Permanent as error:
        return _refused(action_id, sentence(error), REFUSALS.get(type(error), 422))
    flash(*_said(_read(action_id), one.title))
    if below is None:
        return redirect(url_for("console_inbox.listing"), 303)
    return redirect(url_for("console_request.show", action_id=below), 303)


def _said(now: Shown, title: str) -> tuple[str, str]:
    """What came of a person's word: policy may want that of others as well."""
    missing = now.view.needed - now.view.agreed
    if now.open:
        return f"Your yes is counted, {missing} more needed: {title}", "good"
    return f"{now.word}: {title}", "good"


def sentence(error: Exception) -> str:
    """An error's text as a sentence of a page."""
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _refused(action_id: uuid.UUID, fault: str, status: int) -> tuple[str, int, dict[str, str]]:
    """The page of the request, saying why nothing was done. Its address is the request's, not that of the form."""
    page_at = url_for("console_request.show", action_id=action_id)
    return _page(action_id, fault), status, {"HX-Push-Url": page_at}


def _page(action_id: uuid.UUID, fault: str = "") -> str:
    one = _read(action_id)
    with transaction(services().engine) as tx:
        found = inbox.read(tx, services().clock.now())
    return page(found, one, chosen=True, fault=fault)


def _read(action_id: uuid.UUID) -> Shown:
    with transaction(services().engine) as tx:
        return shown.of(visible(approvals.view(tx, action_id)), services().clock.now())
