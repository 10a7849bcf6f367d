"""What somebody gets who is not let in: a page for people, a problem document for programs."""

from typing import Final
from urllib.parse import quote

from flask import Flask, Response, make_response, redirect, render_template, request
from werkzeug.exceptions import Forbidden, HTTPException, Unauthorized

from revpipe.web.errors import problem

CONSOLE: Final = "/console/"
SIGN_IN: Final = "/console/sign-in"


class NotSignedIn(Unauthorized):
    """Nobody is signed in, or no longer."""

    description = "Sign in at /console/sign-in, or send a token: Authorization: Bearer …"


def install(app: Flask) -> None:
    """Answer both refusals in the way that is asked for."""
    app.register_error_handler(NotSignedIn, _not_signed_in)
    app.register_error_handler(Forbidden, refuse)


def for_people() -> bool:
    """Whether a page is asked for, and not by a program."""
    return request.path.startswith(CONSOLE) and request.accept_mimetypes.accept_html


def _not_signed_in(error: NotSignedIn) -> Response:
    if not for_people():
        answer = problem(401, error.name, str(error.description))
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    target = request.full_path if request.query_string else request.path
    place = f"{SIGN_IN}?next={quote(target, safe='/')}" if request.method == "GET" else SIGN_IN
    if request.headers.get("HX-Request"):
        # A part of a page can't show the sign-in: the whole page goes there.
        answer = problem(401, error.name, str(error.description))
        answer.headers["HX-Redirect"] = SIGN_IN
        return answer
    return make_response(redirect(place, 303))


def refuse(error: HTTPException) -> Response:
    """The answer to one who may not do what they asked for."""
    if not for_people():
        return problem(403, error.name, str(error.description))
    return make_response(render_template("refused.html", title="Not allowed", detail=error.description), 403)
