"""How often one caller may ask: counted in Redis for all web processes, and by each alone while Redis is away."""

import hashlib
import time
from functools import partial
from typing import Any, Final

import redis
import structlog
from flask import Flask, Response, request
from flask_limiter import Limiter, RateLimitExceeded
from sqlalchemy.exc import SQLAlchemyError

from revpipe.services import Services
from revpipe.web.errors import problem
from revpipe.web.visitor import BEARER, Visitor, browser, visitor

log = structlog.get_logger(__name__)

PREFIX: Final = "/api/v1/"
WINDOW_SECONDS: Final = 60
_NAME: Final = "revpipe-api-rates"


def install(app: Flask, services: Services) -> None:
    """Count the calls of the API, and of nothing else: no vendor's webhook is ever turned away by it.

    Redis is asked over the connection that asks for circuits, so that it takes no further one. While it does not
    answer each process counts for itself: callers are bounded still, somewhat less, and nobody is turned away for it.
    """
    pool = getattr(getattr(services.circuits, "client", None), "connection_pool", None)
    options: dict[str, Any] = {"connection_pool": pool} if pool is not None else {}
    limit = f"{services.settings.api_calls_per_minute} per minute"
    limiter = Limiter(
        _caller,
        application_limits=[limit],
        storage_uri="redis://" if pool is not None else "memory://",
        storage_options=options,
        in_memory_fallback=[limit],
        swallow_errors=True,
        key_prefix="revpipe:api",
    )
    limiter.request_filter(_not_asked)
    limiter.init_app(app)
    app.extensions[_NAME] = limiter
    app.register_error_handler(RateLimitExceeded, partial(_too_many, limiter))
    app.after_request(partial(_tell, limiter))


def _not_asked() -> bool:
    return not request.path.startswith(PREFIX)


def _caller() -> str:
    """One caller: by the token or session that holds, else by address, so that nobody gets more by making them up."""
    try:
        one = visitor()
    except SQLAlchemyError:
        # Whoever asks is told so in a moment; it is not Redis that is away.
        one = Visitor()
    if one.user is None:
        return browser().address or "unknown"
    if one.session is not None:
        return f"{one.user.user_id}:session"
    # The token as it was looked up: the header has more than one spelling of it.
    token = request.headers.get("Authorization", "")[len(BEARER) :].strip()
    return f"{one.user.user_id}:{hashlib.sha256(token.encode()).hexdigest()[:16]}"


def _tell(limiter: Limiter, response: Response) -> Response:
    """How many calls are left."""
    window = _window(limiter)
    if window is not None:
        response.headers["X-RateLimit-Remaining"] = str(window[0])
    return response


def _too_many(limiter: Limiter, error: RateLimitExceeded) -> Response:
    log.warning("too_many_calls", limit=str(error.description))
    response = problem(429, "Too Many Requests", f"{error.description} is the limit for one caller; see Retry-After.")
    window = _window(limiter)
    response.headers["Retry-After"] = str(window[1] if window else WINDOW_SECONDS)
    return response


def _window(limiter: Limiter) -> tuple[int, int] | None:
    """Calls that are left in this minute, and its seconds; None where nobody counted."""
    limit = limiter.current_limit
    if limit is None:
        return None
    try:
        return limit.remaining, max(1, round(limit.reset_at - time.time()))
    except redis.RedisError:
        return None
