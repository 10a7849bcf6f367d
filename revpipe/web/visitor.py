"""Who asks: by the session that a cookie names, or by an API token. Looked up once for each request, when needed."""

from dataclasses import dataclass
from typing import Final

from flask import g, request

from revpipe.db import transaction
from revpipe.users import sessions, tokens
from revpipe.users.account import User
from revpipe.users.sign_in import Browser
from revpipe.web import cookies
from revpipe.web.current import services

BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Visitor:
    """One who asks: nobody, a user by a session, or a user by a token with its scopes."""

    user: User | None = None
    session: sessions.Session | None = None
    scopes: tuple[str, ...] | None = None


def visitor() -> Visitor:
    """Who asks. A token that does not hold is nobody, whatever cookie comes with it."""
    if "visitor" not in g:
        g.visitor = _find()
    found: Visitor = g.visitor
    return found


def browser() -> Browser:
    """Where the request comes from, for signing in."""
    device = request.headers.get("User-Agent", "")
    return Browser(_address(), device, cookies.read(cookies.SESSION))


def _find() -> Visitor:
    header = request.headers.get("Authorization", "")
    shown = cookies.read(cookies.SESSION)
    if header.lower().startswith(BEARER):
        return _by_token(header[len(BEARER) :].strip())
    return _by_session(shown) if shown else Visitor()


def _by_token(shown: str) -> Visitor:
    with transaction(services().engine) as tx:
        found = tokens.find(tx, services().clock.now(), shown)
    return Visitor() if found is None else Visitor(found[0], scopes=found[1])


def _by_session(shown: str) -> Visitor:
    now = services().clock.now()
    with transaction(services().engine, durable=False) as tx:
        session = sessions.find(tx, now, shown)
        if session is not None and session.seen_at < now - sessions.COARSE:
            sessions.saw(tx, now, session)
    return Visitor() if session is None else Visitor(session.user, session)


def _address() -> str:
    """The address that tries to sign in are counted by.

    Behind a router, which there is where we are reached by https, it is the last that the router itself has added:
    what stands before it a client may have made up.
    """
    forwarded = request.headers.get("X-Forwarded-For", "") if cookies.secure() else ""
    return forwarded.rsplit(",", 1)[-1].strip() or request.remote_addr or ""
