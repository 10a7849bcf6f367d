"""Errors as pages, for people in the console; programs keep their problem documents."""

from collections.abc import Callable

from flask import Flask, Response, current_app, make_response, render_template
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

from revpipe.web import errors
from revpipe.web.refusals import for_people

TITLES = {
    NotFound: "Not found",
    MethodNotAllowed: "This address is for a form",
    RequestEntityTooLarge: "Too much text",
}


def install(app: Flask) -> None:
    """Take the place of the handlers that there are, which are asked where no page is wanted."""
    for kind, title in TITLES.items():
        app.register_error_handler(kind, _page(title))
    for lost in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(lost, _no_ledger)


def _page(title: str) -> Callable[[HTTPException], Response]:
    def answer(error: HTTPException) -> Response:
        if not for_people():
            return errors.http(error)
        page = render_template("console/error.html", title=title, detail=error.description or "")
        return make_response(page, error.code or 500)

    return answer


def _no_ledger(error: Exception) -> Response:
    """A page that asks the ledger nothing, not even who is looking."""
    answer = errors.no_database(error)
    if for_people():
        page = current_app.jinja_env.get_template("console/away.html").render()
        return Response(page, 503, {"Retry-After": str(errors.RETRY_SECONDS)}, mimetype="text/html")
    return answer
