"""What a press of a button in a chat does: the person's word, if it is theirs to give and still about what they saw."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import structlog

from revpipe import approvals
from revpipe.actors import Actor
from revpipe.approvals import people
from revpipe.db import sql, transaction
from revpipe.errors import Permanent, RevpipeError
from revpipe.messenger import Press
from revpipe.notifying import slack_people, telling
from revpipe.notifying.cards import card_of, outcome
from revpipe.services import Services

log = structlog.get_logger(__name__)

FORMS: Final = ("send_edit", "send_reject")
STRANGER: Final = (
    "revpipe knows no user with the e-mail that Slack has confirmed for you, or has not looked you up yet:"
    " decide in the console, or ask an admin to add you with that e-mail."
)
SLOW: Final = "Slack did not open the form in time. Please press again, or decide in the console."


def take(services: Services, press: Press) -> Mapping[str, Any] | None:
    """Do what was pressed, once however often the request comes; returns a form's answer, None if all is well.

    Whoever may not, or comes too late, is told so: in their form, or by a word that only they see.
    """
    if press.kind == "other" or press.action_id is None or not _first(services, press):
        return None
    with transaction(services.engine) as tx:
        user = slack_people.who(tx, press.team, press.user)
    if user is None:
        return _tell(services, press, STRANGER)
    actor = Actor(user.email, "slack", user.user_id)
    try:
        _act(services, press, press.action_id, actor)
    except approvals.BadEdit as error:
        return _tell(services, press, str(error), _field_in(press, str(error)))
    except Permanent as error:
        return _tell(services, press, _what_happened(services, press.action_id, error))
    return None


def _first(services: Services, press: Press) -> bool:
    """Whether this very request was not taken in before; from here on it was."""
    with transaction(services.engine) as tx:
        new = tx.execute(
            sql(
                "INSERT INTO slack_presses (fingerprint, pressed_at) VALUES (:fingerprint, :now)"
                " ON CONFLICT DO NOTHING RETURNING 1"
            ),
            {"fingerprint": press.fingerprint, "now": services.clock.now()},
        ).scalar()
    if not new:
        log.warning("slack_press_again", kind=press.kind)
    return new is not None


def _act(services: Services, press: Press, action_id: uuid.UUID, actor: Actor) -> None:
    if press.kind == "approve":
        approvals.approve(services, action_id, actor, press.version)
    elif press.kind == "send_edit":
        version = approvals.edit(services, action_id, actor, press.version, _changes(services, press, action_id))
        approvals.approve(services, action_id, actor, version)
    elif press.kind == "send_reject":
        approvals.reject(services, action_id, actor, press.fields.get("reason") or None, press.version)
    else:
        _open(services, press, action_id, actor)


def _open(services: Services, press: Press, action_id: uuid.UUID, actor: Actor) -> None:
    """Let the form be shown to whoever could send it."""
    with transaction(services.engine) as tx:
        view = approvals.view(tx, action_id)
        if view is None:
            raise approvals.NoApproval("revpipe asks for no approval of this any more")
        row = tx.execute(sql("SELECT * FROM approvals WHERE action_id = :id"), {"id": action_id}).mappings().one()
        people.check(tx, actor, dict(row), services.policy[view.type])
    if view.state != "open":
        raise approvals.AlreadyDecided(outcome(view) or "this was decided already")
    if view.version != press.version:
        raise approvals.VersionMoved("it was edited meanwhile: press again at the message as it is now")
    if services.presses is None:
        raise Permanent("this process can't open forms")
    try:
        services.presses.open_form(press, card_of(view, action_id, None, services))
    except RevpipeError as error:
        log.warning("form_not_opened", code=error.code)
        raise Permanent(SLOW) from error
    approvals.seen(services, action_id, actor)


def _changes(services: Services, press: Press, action_id: uuid.UUID) -> dict[str, Any]:
    """The texts that differ from what the form was opened with; a form writes line ends in its own way."""
    with transaction(services.engine) as tx:
        view = approvals.view(tx, action_id)
    had = view.params if view is not None else {}
    changes: dict[str, Any] = {}
    for name, text in press.fields.items():
        head, _, key = name.partition(".")
        whole = had.get(head)
        of_mapping = isinstance(whole, Mapping) and key in whole
        before = whole[key] if isinstance(whole, Mapping) and of_mapping else had.get(name)
        written = text.replace("\r\n", "\n")
        if written == _text(before).replace("\r\n", "\n"):
            continue
        if of_mapping:
            changes.setdefault(head, dict(whole or {}))[key] = written
        else:
            changes[name] = written
    return changes


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _what_happened(services: Services, action_id: uuid.UUID, error: Permanent) -> str:
    """For a press that came too late, what became of it; for any other, why it does not count."""
    if isinstance(error, approvals.AlreadyDecided):
        with transaction(services.engine) as tx:
            view = approvals.view(tx, action_id)
        told = outcome(view) if view is not None else None
        return f"Too late: {told}" if told else str(error)
    if isinstance(error, approvals.VersionMoved):
        return "Nothing was sent: it was edited since you saw it. The message shows the present text in a moment."
    if isinstance(error, approvals.NotAllowed):
        return f"You can't decide on this: {error}."
    return str(error)


def _tell(services: Services, press: Press, text: str, field: str | None = None) -> Mapping[str, Any] | None:
    if press.kind in FORMS:
        return services.presses.refusal(press, text, field) if services.presses else None
    if press.place is None or press.action_id is None or not press.user:
        return None
    with transaction(services.engine) as tx:
        about = tx.execute(
            sql(
                "SELECT p.approval_id, a.action_id, a.signal_id, a.correlation_id, a.deal_id FROM approvals AS p"
                " JOIN actions AS a USING (action_id) WHERE p.action_id = :id"
            ),
            {"id": press.action_id},
        ).mappings()
        row = about.first()
        if row is None:
            log.warning("slack_press_of_nothing", kind=press.kind)
            return None
        telling.whisper(tx, dict(row), press.place, press.user, text, services.clock.now())
    return None


def _field_in(press: Press, text: str) -> str | None:
    """The input that a refusal is about: the one that it begins with, else one that it names, else the first."""
    for name in sorted(press.fields, key=len, reverse=True):
        if text.startswith((name, f"'{name}'")) or f" {name}:" in text or f" {name} " in text:
            return name
    return next(iter(press.fields), None)
