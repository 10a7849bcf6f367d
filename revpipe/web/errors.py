"""Errors as application/problem+json (RFC 9457). Our own trouble is never a 4xx: vendors don't retry those."""

import json

import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from revpipe.errors import SourceNotConfigured, Unauthorised

log = structlog.get_logger(__name__)

RETRY_SECONDS = 30


def problem(status: int, title: str, detail: str, *, retry: bool = False) -> Response:
    """An error answer; `retry` tells the sender when to come again."""
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail})
    response = Response(body, status, mimetype="application/problem+json")
    if retry:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def register(app: Flask) -> None:
    """Let every error leave as a problem document."""
    app.register_error_handler(Unauthorised, _unauthorised)
    app.register_error_handler(SourceNotConfigured, _not_configured)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(kind, _no_database)
    app.register_error_handler(HTTPException, _http)


def _unauthorised(error: Exception) -> Response:
    log.warning("unauthorised", reason=str(error))
    return problem(401, "Unauthorised", "The signature, token or time of this request does not hold.")


def _not_configured(error: Exception) -> Response:
    log.error("source_not_configured", reason=str(error))
    return problem(503, "Not configured", "This source is not configured here yet.", retry=True)


def _no_database(error: Exception) -> Response:
    log.error("database_unavailable", error=type(error).__name__)
    return problem(503, "Unavailable", "Nothing was accepted; please send it again.", retry=True)


def _http(error: HTTPException) -> Response:
    if error.code == 413:
        log.warning("too_large", path=request.path, bytes=request.content_length)
        return problem(413, "Too large", "A body may have 1,000,000 bytes at the most.")
    return problem(error.code or 500, error.name, error.description or error.name)
