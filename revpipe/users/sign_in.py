"""The three ways in: a password, a link that holds once, and a provider that vouches for an e-mail address."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import Connection, Engine

from revpipe import audit
from revpipe.db import transaction
from revpipe.users import account, links, passwords, sessions, throttle
from revpipe.users.account import User
from revpipe.users.errors import BadUser, SignInRefused
from revpipe.users.tidying import tidy

log = structlog.get_logger(__name__)

WRONG: Final = "The address or the password is wrong."
NO_LINK: Final = "This link was used already or is too old. Ask for a new one: revpipe users link EMAIL"
NOBODY: Final = "Your provider let you in, but nobody here is known by that address. Ask an admin to add you."


@dataclass(frozen=True, slots=True)
class Browser:
    """Who knocks: their address, what the browser calls itself, and the cookie of an earlier session if it has one."""

    address: str
    device: str
    earlier: str | None = None


def by_password(engine: Engine, now: datetime, email: str, password: str, browser: Browser) -> str:
    """The secret of a new session. Raises SignInRefused, which tells nobody what was wrong, and TooManyTries."""
    tidy(engine, now)
    throttle.spend(engine, now, email, browser.address)
    with transaction(engine) as tx:
        hashed = passwords.kept(tx, email)
    # No connection is held while it is computed: the pool is small, and this is slow on purpose.
    right = passwords.holds(hashed, password)
    with transaction(engine) as tx:
        user = account.by_email(tx, email) if right else None
        if user is not None and user.active:
            throttle.forgive(tx, [email])
            if hashed is not None and passwords.outdated(hashed):
                passwords.keep(tx, now, user.user_id, password)
            return _begin(tx, now, user, "password", browser)
    log.warning("sign_in_refused", way="password")
    raise SignInRefused(WRONG)


def by_link(engine: Engine, now: datetime, token: str, browser: Browser) -> str:
    """The secret of a new session; the link is used up. Raises SignInRefused if it no longer holds."""
    tidy(engine, now)
    with transaction(engine) as tx:
        user = links.use(tx, now, token)
        if user is not None:
            return _begin(tx, now, user, "link", browser)
    log.warning("sign_in_refused", way="link")
    raise SignInRefused(NO_LINK)


def by_provider(engine: Engine, now: datetime, email: str, browser: Browser) -> str:
    """The secret of a new session for an address that a provider has verified. Raises SignInRefused."""
    tidy(engine, now)
    with transaction(engine) as tx:
        user = account.by_email(tx, email)
        if user is not None and user.active:
            return _begin(tx, now, user, "oidc", browser)
    log.warning("sign_in_refused", way="oidc")
    raise SignInRefused(NOBODY)


def change_password(
    engine: Engine, now: datetime, session: sessions.Session, current: str, wanted: str, browser: Browser
) -> None:
    """Give the session's user another password and sign them out everywhere else.

    Who has one already must know it, unless they have just signed in by a link. Raises BadUser, TooManyTries.
    """
    user = session.user
    passwords.check(wanted, user)
    with transaction(engine) as tx:
        hashed = passwords.kept(tx, user.email)
        trusted = sessions.fresh_from_link(tx, now, session.session_id)
    if hashed is not None and not trusted:
        throttle.spend(engine, now, user.email, browser.address)
        if not passwords.holds(hashed, current):
            raise BadUser("The current password is wrong.")
    with transaction(engine) as tx:
        passwords.keep(tx, now, user.user_id, wanted)
        throttle.forgive(tx, [user.email])
        ended = sessions.end_all(tx, user.user_id, but=session.session_id)
        audit.write(tx, now, user.email, "users password", {"user": str(user.user_id), "sessions_ended": ended})


def _begin(tx: Connection, now: datetime, user: User, way: str, browser: Browser) -> str:
    """A session with a new secret; the one that the browser had ends, so that nobody keeps a foot in it."""
    if browser.earlier:
        sessions.end(tx, browser.earlier)
    audit.write(tx, now, user.email, "sign-in", {"user": str(user.user_id), "way": way})
    return sessions.begin(tx, now, user.user_id, way, browser.device)
