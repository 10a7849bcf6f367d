"""Who may ask for what. Every route says it by `@allowed` or `@public`; one that says nothing answers nobody."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import structlog
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import Forbidden
from werkzeug.routing import Rule

from revpipe.actors import Actor
from revpipe.errors import Misconfigured
from revpipe.users import permissions, sessions
from revpipe.users.account import User
from revpipe.web import cookies, csrf, refusals
from revpipe.web.refusals import NotSignedIn
from revpipe.web.visitor import visitor

log = structlog.get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])

_MARK: Final = "revpipe_access"
_DECLARED: Final = "revpipe-access"


@dataclass(frozen=True, slots=True)
class Allowed:
    """For signed-in people and tokens whose role, and scope, has the permission."""

    permission: str


@dataclass(frozen=True, slots=True)
class Public:
    """For everybody, and why so. With `form` what changes something must come from a page of ours."""

    why: str
    form: bool = False


Access = Allowed | Public


def allowed(permission: str) -> Callable[[View], View]:
    """Declare what a route needs. Raises ValueError for a permission that is not in the table.

    Whoever has it for `own` only is let in as well: the view then asks `own_only` or `must_own`. One that asks
    neither has its answer withheld.
    """
    if permission not in permissions.TABLE:
        raise ValueError(f"{permission!r} is no permission; there are: {', '.join(permissions.TABLE)}")
    return _marking(Allowed(permission))


def public(why: str, *, form: bool = False) -> Callable[[View], View]:
    """Declare that a route needs no sign-in, and why."""
    return _marking(Public(why, form))


def declare(app: Flask, endpoint: str, access: Access) -> None:
    """Say it of a route that a library made."""
    app.extensions.setdefault(_DECLARED, {})[endpoint] = access


def declared(app: Flask, rule: Rule, method: str) -> Access | None:
    """What a route said of itself, None if nothing."""
    said: Access | None = app.extensions.get(_DECLARED, {}).get(rule.endpoint)
    if said is not None:
        return said
    view: Any = app.view_functions[rule.endpoint]
    kind = getattr(view, "view_class", None)
    if kind is not None:
        verb = "get" if method == "HEAD" and not hasattr(kind, "head") else method.lower()
        view = getattr(kind, verb, view)
    found: Access | None = getattr(view, _MARK, None)
    return found


def asked(app: Flask) -> list[tuple[Rule, str]]:
    """Every route and method that is answered, but for OPTIONS where Flask itself answers it."""
    return [
        (rule, method)
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if not _by_flask(rule, method)
    ]


def install(app: Flask) -> None:
    """Ask everybody who comes, and let pages know who they are made for. `check` follows once all routes are there."""
    app.before_request(_admit)
    app.after_request(_look_after)
    app.context_processor(
        lambda: {"user": visitor().user, "may": may, "csrf_token": csrf.token, "csrf_field": csrf.field}
    )


def check(app: Flask) -> None:
    """Raises Misconfigured naming every route that says nothing of who may ask."""
    silent = [f"{method} {rule.rule}" for rule, method in asked(app) if declared(app, rule, method) is None]
    if silent:
        raise Misconfigured(f"these routes need @allowed(…) or @public(…): {', '.join(sorted(silent))}")


def current_user() -> User:
    """Who asks. Raises NotSignedIn on a public route that nobody signed in for."""
    user = visitor().user
    if user is None:
        raise NotSignedIn
    return user


def current_session() -> sessions.Session:
    """The session that asks. Raises NotSignedIn where there is none, as for a token."""
    session = visitor().session
    if session is None:
        raise NotSignedIn
    return session


def acting() -> Actor:
    """Who asks, as one who decides: by `console` with a session, by `api` with a token."""
    user = current_user()
    return Actor(user.email, "api" if visitor().session is None else "console", user.user_id)


def may(permission: str) -> bool:
    """Whether who asks has a permission, be it for their own deals only: for links and buttons."""
    one = visitor()
    return one.user is not None and permissions.reach(one.user.role, permission, one.scopes) is not None


def own_only() -> bool:
    """Whether who asks may see no more than what is theirs: see `User.owners` and `User.people`."""
    g.asked_own = True
    return bool(g.get("reach") != "all")


def must_own(*, owner_id: str | None, approver_id: uuid.UUID | str | None = None) -> None:
    """Raises Forbidden if who asks reaches only what is theirs, and neither the deal nor the decision is."""
    if own_only() and not is_own(current_user(), owner_id=owner_id, approver_id=approver_id):
        raise Forbidden("This belongs to a deal of somebody else.")


def is_own(user: User, *, owner_id: str | None, approver_id: uuid.UUID | str | None = None) -> bool:
    """Whether a deal's owner, or who is asked to approve, is this user or one whom they stand in for."""
    return owner_id in user.owners or str(approver_id) in map(str, user.people)


def _marking(access: Access) -> Callable[[View], View]:
    def mark(view: View) -> View:
        # In the function's own dictionary, which other decorators hand on.
        view.__dict__[_MARK] = access
        return view

    return mark


def _by_flask(rule: Rule, method: str) -> bool:
    return method == "OPTIONS" and bool(getattr(rule, "provide_automatic_options", False))


def _admit() -> None:
    rule = request.url_rule
    if rule is None or _by_flask(rule, request.method):
        return
    access = declared(current_app, rule, request.method)
    if access is None:
        raise Forbidden("This route does not say who may ask for it.")
    changes = request.method not in csrf.SAFE
    if isinstance(access, Public):
        if access.form and changes:
            csrf.demand(cookies.SESSION, cookies.FORM)
        return
    user = current_user()
    if changes and visitor().session is not None:
        csrf.demand(cookies.SESSION)
    g.reach = permissions.reach(user.role, access.permission, visitor().scopes)
    if g.reach is None:
        log.warning("not_allowed", permission=access.permission, role=user.role)
        raise Forbidden(_why_not(user, access.permission))


def _why_not(user: User, permission: str) -> str:
    if permissions.reach(user.role, permission) is None:
        return f"The role {user.role} may not do this ({permission}). An admin can change it: revpipe users set"
    return f"This token has no scope for it ({permission}), or no token reaches it."


def _look_after(response: Response) -> Response:
    """Withhold what nobody has held against who asks, and have no browser keep what somebody was shown."""
    if g.get("reach") == "own" and not g.get("asked_own") and response.status_code < 400:
        log.error("own_not_asked", endpoint=request.endpoint)
        return refusals.refuse(Forbidden("This route does not tell whose it is."))
    if "visitor" in g:
        response.vary.add("Cookie")
        if visitor().user is not None:
            response.headers.setdefault("Cache-Control", "no-store")
    return response
