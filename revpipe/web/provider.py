"""`/console/sign-in/oidc`: to the OpenID provider, and back with what it vouches for."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, Final

import structlog
from flask import Blueprint, Response, abort, current_app, make_response, redirect, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from revpipe.errors import Transient, Unauthorised
from revpipe.identity import IdentityProvider
from revpipe.users import sign_in
from revpipe.users.errors import SignInRefused
from revpipe.web import cookies
from revpipe.web.access import public
from revpipe.web.current import services
from revpipe.web.sign_in import HOME, inside, page, welcome
from revpipe.web.visitor import browser

log = structlog.get_logger(__name__)
blueprint = Blueprint("provider", __name__, url_prefix="/console/sign-in/oidc")

AWAY: Final = 600
"""Seconds that somebody may take at the provider."""
FAILED: Final = "Your provider did not vouch for you. Try again, or sign in by password or link."
AWAY_TOO_LONG: Final = "That took too long, or began in another browser. Try again."
DOWN: Final = "Your provider does not answer just now. Try again, or sign in by password or link."
UNVERIFIED: Final = "Your provider has not verified your e-mail address, so it can't be trusted."
_TURNS: Final = BoundedSemaphore(2)
"""So many threads may wait for the provider: the others are for webhooks."""


@blueprint.get("")
@public("here people begin to sign in")
def leave() -> Response:
    """Off to the provider; the browser keeps, signed, what must come back."""
    provider = _provider()
    try:
        with _turn():
            departure = provider.depart(_return_to())
    except Transient as error:
        log.error("provider_down", error=error.code)
        return page(503, HOME, fault=DOWN)
    kept = {**departure.kept, "next": inside(request.args.get("next"))}
    answer = make_response(redirect(departure.url, 303))
    cookies.write(answer, cookies.PROVIDER, _seal().dumps(kept), AWAY)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/done")
@public("here people come back from their provider")
def arrive() -> Response:
    """Back from the provider. What it says counts only for the browser that left, once, and for a verified address."""
    answer = _arrive()
    cookies.forget(answer, cookies.PROVIDER)
    return answer


def _arrive() -> Response:
    kept = _kept()
    if kept is None:
        return page(400, HOME, fault=AWAY_TOO_LONG)
    try:
        with _turn():
            vouched = _provider().arrive(_return_to(), request.args.to_dict(), kept)
    except Unauthorised as error:
        log.warning("provider_refused", reason=str(error))
        return page(401, HOME, fault=FAILED)
    except Transient as error:
        log.error("provider_down", error=error.code)
        return page(503, HOME, fault=DOWN)
    if not vouched.verified:
        return page(403, HOME, fault=UNVERIFIED)
    try:
        made = sign_in.by_provider(services().engine, services().clock.now(), vouched.email, browser())
    except SignInRefused as error:
        return page(403, HOME, fault=str(error))
    return welcome(made, inside(kept.get("next")))


def _provider() -> IdentityProvider:
    provider = services().identity
    if provider is None:
        abort(404, "No OpenID provider is configured here; see docs/access.md.")
    return provider


def _return_to() -> str:
    """The address that is registered with the provider."""
    base = services().settings.public_url or request.host_url.rstrip("/")
    return f"{base}{blueprint.url_prefix}/done"


def _kept() -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = _seal().loads(cookies.read(cookies.PROVIDER) or "", max_age=AWAY)
    except BadSignature:
        return None
    return found


def _seal() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="provider")


@contextmanager
def _turn() -> Iterator[None]:
    if not _TURNS.acquire(timeout=2):
        raise Transient("too many sign-ins wait for the provider")
    try:
        yield
    finally:
        _TURNS.release()
