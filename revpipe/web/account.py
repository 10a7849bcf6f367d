"""`/console/account`: one's own password, sessions and tokens."""

import uuid
from datetime import timedelta
from typing import Final

from flask import Blueprint, Response, make_response, redirect, render_template, request

from revpipe import audit
from revpipe.db import transaction
from revpipe.users import passwords, permissions, sessions, sign_in, tokens
from revpipe.users.errors import BadUser, NoUser, TooManyTries
from revpipe.web.access import allowed, current_session, current_user
from revpipe.web.current import services
from revpipe.web.visitor import browser

blueprint = Blueprint("account", __name__, url_prefix="/console/account")

DONE: Final = {
    "password": "Your password is changed. You are signed out everywhere else.",
    "session": "That session has ended.",
    "sessions": "You are signed out everywhere else.",
    "token": "That token is revoked.",
}


@blueprint.get("")
@allowed("account")
def show() -> Response:
    """What belongs to whoever asks."""
    return _page(200, notice=DONE.get(request.args.get("done", "")))


@blueprint.post("/password")
@allowed("account")
def password() -> Response:
    """Change the password; all other sessions end."""
    given = request.form
    if given.get("wanted", "") != given.get("again", ""):
        return _page(400, fault="The two passwords differ.")
    try:
        sign_in.change_password(
            services().engine,
            services().clock.now(),
            current_session(),
            given.get("current", ""),
            given.get("wanted", ""),
            browser(),
        )
    except (BadUser, TooManyTries) as error:
        return _page(400 if isinstance(error, BadUser) else 429, fault=str(error))
    return _back("password")


@blueprint.post("/sessions/<uuid:session_id>/end")
@allowed("account")
def end_session(session_id: uuid.UUID) -> Response:
    """Sign out elsewhere."""
    user = current_user()
    with transaction(services().engine) as tx:
        ended = sessions.end_one(tx, user.user_id, session_id)
        audit.write(tx, services().clock.now(), user.email, "sessions end", {"session": str(session_id)})
    return _back("session") if ended else _page(404, fault="That session has ended already.")


@blueprint.post("/sessions/end-others")
@allowed("account")
def end_other_sessions() -> Response:
    """Sign out everywhere else."""
    session = current_session()
    with transaction(services().engine) as tx:
        ended = sessions.end_all(tx, session.user.user_id, but=session.session_id)
        audit.write(tx, services().clock.now(), session.user.email, "sessions end", {"others": ended})
    return _back("sessions")


@blueprint.post("/tokens")
@allowed("account")
def make_token() -> Response:
    """A new token, shown this once."""
    user, now = current_user(), services().clock.now()
    days = request.form.get("days", "")
    try:
        if not days.isdecimal() or len(days) > 4:
            raise BadUser("days: a whole number")
        name, scopes = request.form.get("name", ""), request.form.getlist("scope")
        with transaction(services().engine) as tx:
            token_id, made = tokens.make(tx, now, user.user_id, name, scopes, timedelta(days=int(days)))
            detail = {"token": str(token_id), "scopes": scopes, "days": int(days)}
            audit.write(tx, now, user.email, "tokens add", detail)
    except BadUser as error:
        return _page(400, fault=str(error))
    return _page(201, token=made)


@blueprint.post("/tokens/<uuid:token_id>/revoke")
@allowed("account")
def revoke_token(token_id: uuid.UUID) -> Response:
    """End one of one's tokens."""
    user, now = current_user(), services().clock.now()
    try:
        with transaction(services().engine) as tx:
            tokens.revoke(tx, now, token_id, user.user_id)
            audit.write(tx, now, user.email, "tokens revoke", {"token": str(token_id)})
    except NoUser as error:
        return _page(404, fault=str(error))
    return _back("token")


def _page(status: int, *, notice: str | None = None, fault: str | None = None, token: str | None = None) -> Response:
    session, now = current_session(), services().clock.now()
    user = session.user
    with transaction(services().engine) as tx:
        shown = {
            "sessions": sessions.listing(tx, now, user.user_id),
            "tokens": [one for one in tokens.listing(tx, user.user_id) if not one["revoked_at"]],
            "has_password": passwords.kept(tx, user.email) is not None,
            "must_know": not sessions.fresh_from_link(tx, now, session.session_id),
        }
    scopes = [one for one in permissions.SCOPES if _reaches(user.role, one)]
    page = {"notice": notice, "fault": fault, "token": token, "here": session.session_id, "scopes": scopes, "now": now}
    return make_response(render_template("account.html", **page, **shown), status)


def _reaches(role: str, scope: str) -> bool:
    return scope == permissions.READ or permissions.reach(role, scope) is not None


def _back(done: str) -> Response:
    return make_response(redirect(f"/console/account?done={done}", 303))
