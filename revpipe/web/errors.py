"""Errors as application/problem+json (RFC 9457). Our own trouble is never a 4xx: vendors don't retry those."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from revpipe.errors import SourceNotConfigured, Unauthorised

log = structlog.get_logger(__name__)

RETRY_SECONDS = 30


def problem(status: int, title: str, detail: str, *, retry: bool = False, errors: Any = None) -> Response:
    """An error answer; `retry` tells the sender when to come again, `errors` names faults by their place."""
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    body = json.dumps(told if errors is None else {**told, "errors": errors})
    response = Response(body, status, mimetype="application/problem+json")
    if retry:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def register(app: Flask) -> None:
    """Let every error leave as a problem document."""
    app.register_error_handler(Unauthorised, _unauthorised)
    app.register_error_handler(SourceNotConfigured, _not_configured)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(kind, no_database)
    app.register_error_handler(HTTPException, http)


def _unauthorised(error: Exception) -> Response:
    log.warning("unauthorised", reason=str(error))
    return problem(401, "Unauthorised", "The signature, token or time of this request does not hold.")


def _not_configured(error: Exception) -> Response:
    log.error("source_not_configured", reason=str(error))
    return problem(503, "Not configured", "This source is not configured here yet.", retry=True)


def no_database(error: Exception) -> Response:
    """The database is away: 503, so that whoever sends comes again."""
    log.error("database_unavailable", error=type(error).__name__)
    return problem(503, "Unavailable", "Nothing was accepted; please send it again.", retry=True)


def http(error: HTTPException) -> Response:
    """Any error that has a status of its own."""
    if error.code == 413:
        log.warning("too_large", path=request.path, bytes=request.content_length)
        return problem(413, "Too large", "A body may have 1,000,000 bytes at the most.")
    faults = (getattr(error, "data", None) or {}).get("messages")
    detail = _faults(faults) if faults else error.description or error.name
    response = problem(error.code or 500, error.name, detail, errors=faults)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _faults(messages: Any, where: str = "") -> str:
    """What arguments were refused for, in one line: `query.limit: Write a number from 1 to 200.`"""
    if isinstance(messages, Mapping):
        return " ".join(_faults(below, f"{where}.{name}" if where else str(name)) for name, below in messages.items())
    texts = messages if isinstance(messages, list) else [messages]
    return f"{where}: {' '.join(str(text) for text in texts)}"
