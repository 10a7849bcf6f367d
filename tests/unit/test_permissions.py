"""The table of permissions, and how scopes narrow it."""

import pytest

from revpipe.users.permissions import BY_SESSION_ONLY, ROLES, SCOPES, TABLE, reach

ORDER = {None: 0, "own": 1, "all": 2}


def test_every_permission_says_something_of_every_role() -> None:
    assert all(set(row) == set(ROLES) for row in TABLE.values())
    assert all(row["admin"] == "all" for row in TABLE.values())


def test_an_operator_may_what_a_rep_may_and_an_admin_what_anybody_may() -> None:
    for permission in TABLE:
        for less, more in (("rep", "operator"), ("viewer", "operator"), ("operator", "admin")):
            assert ORDER[reach(less, permission)] <= ORDER[reach(more, permission)], (less, more, permission)


def test_who_only_looks_changes_nothing() -> None:
    may = {permission for permission in TABLE if reach("viewer", permission)}
    assert all(name.endswith(".read") for name in may - {"account"})


def test_a_rep_reaches_no_deal_of_others() -> None:
    about_deals = ("signals.read", "plans.read", "actions.read", "approvals.read", "approvals.decide")
    assert {reach("rep", permission) for permission in about_deals} == {"own"}


@pytest.mark.parametrize(
    ("role", "permission", "scopes", "wanted"),
    [
        ("admin", "signals.read", ("read",), "all"),
        ("rep", "signals.read", ("read",), "own"),
        ("rep", "approvals.decide", ("read",), None),
        ("rep", "approvals.decide", ("approvals.decide",), "own"),
        ("viewer", "approvals.decide", ("approvals.decide",), None),
        ("admin", "users.read", ("read",), None),
        ("admin", "account", tuple(TABLE), None),
        ("admin", "users.write", tuple(TABLE), None),
        ("admin", "signals.read", (), None),
    ],
)
def test_a_token_may_what_both_its_scopes_and_its_user_may(
    role: str, permission: str, scopes: tuple[str, ...], wanted: str | None
) -> None:
    assert reach(role, permission, scopes) == wanted


def test_no_scope_names_what_no_token_reaches() -> None:
    assert not BY_SESSION_ONLY & set(SCOPES)
    assert set(TABLE) >= BY_SESSION_ONLY
