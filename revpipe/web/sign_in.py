"""`/console/sign-in`: by password, by a link that holds once, or by the provider; and out again."""

import re
from typing import Final

from flask import Blueprint, Response, make_response, redirect, render_template, request

from revpipe import counters
from revpipe.db import transaction
from revpipe.users import links, sessions, sign_in
from revpipe.users.errors import SignInRefused, TooManyTries
from revpipe.web import cookies
from revpipe.web.access import allowed, public
from revpipe.web.current import services
from revpipe.web.visitor import browser, visitor

blueprint = Blueprint("sign_in", __name__, url_prefix="/console")

HOME: Final = "/console/"
"""Where one arrives who came for nothing else."""
_INSIDE: Final = re.compile(r"/console/[\w\-./~%]*(?:\?[\w\-./~%=&+:,]*)?", re.ASCII)


def inside(wanted: str | None) -> str:
    """`wanted` if it is a path of the console, else HOME: nobody is led elsewhere by a link to our sign-in."""
    if wanted and len(wanted) <= 1000 and _INSIDE.fullmatch(wanted) and "//" not in wanted and ".." not in wanted:
        return wanted
    return HOME


@blueprint.get("/sign-in")
@public("here people sign in", form=True)
def form() -> Response:
    """The form; who is signed in already goes on."""
    wanted = inside(request.args.get("next"))
    if visitor().user is not None:
        return make_response(redirect(wanted, 303))
    return page(200, wanted)


@blueprint.post("/sign-in")
@public("here people sign in", form=True)
def by_password() -> Response:
    """Sign in by password: 303 to where they wanted to go, 401 if it is wrong, 429 after too many tries."""
    wanted = inside(request.form.get("next"))
    email, password = request.form.get("email", "")[:320], request.form.get("password", "")[:1000]
    now = services().clock.now()
    try:
        made = sign_in.by_password(services().engine, now, email, password, browser())
    except SignInRefused as error:
        counters.add(services().engine, "sign_in_refused", now)
        return page(401, wanted, fault=str(error), email=email)
    except TooManyTries as error:
        counters.add(services().engine, "sign_in_refused", now)
        answer = page(429, wanted, fault=str(error), email=email)
        answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    return welcome(made, wanted)


@blueprint.get("/sign-in/link/<token>")
@public("whoever holds a link may use it", form=True)
def show_link(token: str) -> Response:
    """Whom the link signs in, and a button. It uses nothing up: programs that read mail open every link."""
    with transaction(services().engine) as tx:
        user = links.look(tx, services().clock.now(), token)
    if user is None:
        return page(410, HOME, fault=sign_in.NO_LINK)
    return _fresh(make_response(render_template("sign_in_link.html", who=user)))


@blueprint.post("/sign-in/link/<token>")
@public("whoever holds a link may use it", form=True)
def by_link(token: str) -> Response:
    """Sign in by the link, once."""
    try:
        made = sign_in.by_link(services().engine, services().clock.now(), token, browser())
    except SignInRefused as error:
        return page(410, HOME, fault=str(error))
    return welcome(made, HOME)


@blueprint.post("/sign-out")
@allowed("account")
def out() -> Response:
    """End this session, here and in the browser."""
    shown = cookies.read(cookies.SESSION)
    with transaction(services().engine) as tx:
        sessions.end(tx, shown or "")
    answer = make_response(redirect("/console/sign-in", 303))
    cookies.forget(answer, cookies.SESSION)
    return answer


def page(status: int, wanted: str, *, fault: str | None = None, email: str = "") -> Response:
    """The form with what went wrong."""
    provider = services().identity
    label = None if provider is None else services().settings.oidc_name
    text = render_template("sign_in.html", wanted=wanted, fault=fault, email=email, provider=label)
    return _fresh(make_response(text, status))


def welcome(made: str, wanted: str) -> Response:
    """Hand a new session's secret out, and lead on."""
    answer = make_response(redirect(wanted, 303))
    cookies.write(answer, cookies.SESSION, made, int(sessions.LASTS.total_seconds()))
    cookies.forget(answer, cookies.FORM)
    return _fresh(answer)


def _fresh(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer
