"""Who may do what: one table. Routes name a permission, roles and token scopes are held against it here only."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

Reach = Literal["all", "own"]
"""`own`: on one's own deals only, or on those of whom one stands in for."""

ROLES: Final = ("viewer", "rep", "operator", "admin")
_ALL: Final[Reach] = "all"
_OWN: Final[Reach] = "own"


def _to(
    viewer: Reach | None = None, rep: Reach | None = None, operator: Reach | None = None, admin: Reach | None = None
) -> Mapping[str, Reach | None]:
    return {"viewer": viewer, "rep": rep, "operator": operator, "admin": admin}


TABLE: Final[Mapping[str, Mapping[str, Reach | None]]] = {
    # Numbers only: no deal, no name, no text.
    "overview.read": _to(_ALL, _ALL, _ALL, _ALL),
    "queues.read": _to(_ALL, _ALL, _ALL, _ALL),
    "rules.read": _to(_ALL, _ALL, _ALL, _ALL),
    "rules.simulate": _to(None, None, _ALL, _ALL),
    # What is known of deals and the people in them.
    "signals.read": _to(_ALL, _OWN, _ALL, _ALL),
    "plans.read": _to(_ALL, _OWN, _ALL, _ALL),
    "actions.read": _to(_ALL, _OWN, _ALL, _ALL),
    "actions.settle": _to(None, None, _ALL, _ALL),
    "approvals.read": _to(_ALL, _OWN, _ALL, _ALL),
    "approvals.decide": _to(None, _OWN, _ALL, _ALL),
    # Raw requests, whatever a sender put into them.
    "deadletters.read": _to(None, None, _ALL, _ALL),
    "deadletters.replay": _to(None, None, _ALL, _ALL),
    "deadletters.discard": _to(None, None, _ALL, _ALL),
    "audit.read": _to(None, None, _ALL, _ALL),
    # Oneself: password, sessions, tokens. No token reaches it.
    "account": _to(_ALL, _ALL, _ALL, _ALL),
    "users.read": _to(None, None, None, _ALL),
    "users.write": _to(None, None, None, _ALL),
}
"""Permission → role → reach. `approvals.decide` is approving, rejecting and editing."""

BY_SESSION_ONLY: Final = frozenset({"account", "users.read", "users.write"})
"""What a token never reaches: whoever finds one must not be able to make more of it."""
READ: Final = "read"
"""The scope that stands for every permission that only reads."""
SCOPES: Final = (READ, *(name for name in TABLE if name not in BY_SESSION_ONLY))


def reach(role: str, permission: str, scopes: Iterable[str] | None = None) -> Reach | None:
    """How far a role reaches with a permission, None if not at all.

    `scopes` are those of the token that asks, None for a session. Raises KeyError for a permission or role that is
    not in the table.
    """
    found = TABLE[permission][role]
    if scopes is None:
        return found
    if permission in BY_SESSION_ONLY:
        return None
    named = set(scopes)
    return found if permission in named or (READ in named and permission.endswith(".read")) else None
