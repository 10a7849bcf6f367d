"""Every route with everybody: who gets in is what the route and the table of permissions say, and nothing else."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask.views import MethodView
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from revpipe.db import transaction
from revpipe.errors import Misconfigured
from revpipe.services import Services
from revpipe.users import accounts, permissions, tokens
from revpipe.users.account import User
from revpipe.web import access
from revpipe.web.app import create_app
from tests.integration.ledger_fixtures import MovableClock
from tests.integration.people import ACCOUNT, at_home, form_token, person, token_of

JSON = {"Accept": "application/json"}
TOKENS = (
    *(("admin", scopes) for scopes in (("read",), ("rules.simulate",), permissions.SCOPES)),
    ("rep", ("read",)),
    ("viewer", permissions.SCOPES),
)
VALUES: Mapping[str, Any] = {"UUIDConverter": uuid.UUID(int=7), "IntegerConverter": 7}
OF_NOBODY = ("anonymous", "expired session", "disabled user", "revoked token", "expired token", "token of a disabled")


@dataclass(frozen=True)
class Caller:
    """One who calls: as what role, with which scopes, or None as a role for one who must be nobody."""

    name: str
    role: str | None
    scopes: tuple[str, ...] | None
    make: Callable[[], tuple[FlaskClient, Mapping[str, str]]]


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def staff(services: Services) -> dict[str, User]:
    """One user for each role, and an admin who is no longer there."""
    found = {role: person(services, f"{role}@revpipe.example", role) for role in permissions.ROLES}
    return {**found, "gone": person(services, "gone@revpipe.example", "admin")}


def callers(app: Flask, services: Services, clock: MovableClock, staff: Mapping[str, User]) -> Iterator[Caller]:
    """Everybody. The sessions and tokens that no longer hold did hold once."""
    admin, gone = staff["admin"], staff["gone"]
    old, over = at_home(app, services, admin), token_of(services, admin, "read", days=1)
    clock.move(days=2)
    revoked, theirs, left = (
        token_of(services, admin, "read"),
        token_of(services, gone, "read"),
        at_home(app, services, gone),
    )
    with transaction(services.engine) as tx:
        now = services.clock.now()
        (row,) = [one for one in tokens.listing(tx, admin.user_id) if one["expires_at"] > now]
        tokens.revoke(tx, now, row["token_id"])
        accounts.change(tx, now, gone.user_id, {"active": False})
    yield Caller("anonymous", None, None, lambda: (app.test_client(), {}))
    yield Caller("expired session", None, None, lambda: (old, {}))
    yield Caller("disabled user", None, None, lambda: (left, {}))
    for name, header in (("revoked token", revoked), ("expired token", over), ("token of a disabled", theirs)):
        yield Caller(name, None, None, lambda header=header: (app.test_client(), header))
    for role in permissions.ROLES:
        yield Caller(role, role, None, lambda user=staff[role]: (at_home(app, services, user), {}))
    for role, scopes in TOKENS:
        header = token_of(services, staff[role], *scopes)
        yield Caller(f"token of {role}: {scopes[0]}", role, scopes, lambda header=header: (app.test_client(), header))


def call(app: Flask, rule: Rule, method: str, caller: Caller) -> TestResponse:
    """Ask a route as a browser or a program of that caller would, with a form's token where one is needed."""
    client, headers = caller.make()
    values = {name: VALUES.get(type(one).__name__, "x") for name, one in rule._converters.items()}
    path = app.url_map.bind("localhost").build(rule.endpoint, values, method)
    data: dict[str, str] = {}
    if method not in ("GET", "HEAD"):
        page = ACCOUNT if caller.role and caller.scopes is None else "/console/sign-in"
        data = {"csrf_token": form_token(client, page)}
    return client.open(path, method=method, headers={**JSON, **headers}, data=data or None)


def expected(declared: access.Access, caller: Caller) -> str:
    if isinstance(declared, access.Public):
        return "in"
    if caller.role is None:
        return "who are you"
    return "in" if permissions.reach(caller.role, declared.permission, caller.scopes) else "not allowed"


def answered(answer: TestResponse) -> str:
    if answer.headers.get("WWW-Authenticate") == "Bearer" and answer.status_code == 401:
        return "who are you"
    problem = answer.mimetype == "application/problem+json" and answer.data
    told = str((answer.json or {}).get("detail", "")) if problem else ""
    # The answer to a HEAD has its status alone.
    refused = not answer.data or told.startswith(
        ("The role ", "This token has no scope", "This route does not", "This form is too old")
    )
    return "not allowed" if answer.status_code == 403 and refused else "in"


@pytest.mark.timeout(600)
def test_every_route_with_everybody(
    app: Flask,
    services: Services,
    clock: MovableClock,
    staff: Mapping[str, User],
    capsys: pytest.CaptureFixture[str],
) -> None:
    everybody = list(callers(app, services, clock, staff))
    routes = access.asked(app)
    wrong = []
    for rule, method in routes:
        declared = access.declared(app, rule, method)
        assert declared is not None, (rule, method)
        for caller in everybody:
            answer = call(app, rule, method, caller)
            # Slack has no secret here, so what comes from it fails closed.
            broken = answer.status_code >= 500 and "Not configured" not in answer.text
            if answered(answer) != expected(declared, caller) or broken:
                wrong.append((method, rule.rule, caller.name, answer.status_code, answer.text[:200]))
    with capsys.disabled():
        print(f" {len(routes)} routes × {len(everybody)} callers = {len(routes) * len(everybody)} answers ", end="")  # noqa: T201
    assert not wrong, "\n".join(map(str, wrong))
    assert {caller.name for caller in everybody} >= {*OF_NOBODY, *permissions.ROLES}


def test_an_app_with_a_route_that_says_nothing_does_not_start(app: Flask) -> None:
    app.add_url_rule("/new", "new", lambda: "data", methods=["GET", "DELETE"])
    with pytest.raises(Misconfigured, match=r"DELETE /new, GET /new, HEAD /new"):
        access.check(app)
    assert app.test_client().get("/new").status_code == 403


def test_only_permissions_of_the_table_can_be_named() -> None:
    with pytest.raises(ValueError, match="no permission"):
        access.allowed("signals.raed")


def test_methods_of_one_view_may_differ_and_decorators_may_stand_on_top(
    app: Flask, services: Services, staff: Mapping[str, User]
) -> None:
    class Both(MethodView):
        @access.allowed("queues.read")
        def get(self) -> str:
            return access.acting().way

        @access.public("for this test")
        def post(self) -> str:
            return "posted"

    app.add_url_rule("/both", view_func=Both.as_view("both"))
    access.check(app)
    client = app.test_client()
    assert client.get("/both").status_code == 401
    assert client.post("/both").text == "posted"
    assert at_home(app, services, staff["viewer"]).get("/both").text == "console"
    assert client.get("/both", headers=token_of(services, staff["viewer"], "queues.read")).text == "api"


def test_a_rep_gets_their_own_and_what_they_stand_in_for_and_nothing_that_was_not_held_against_them(
    app: Flask, services: Services
) -> None:
    rep = person(services, "rep@revpipe.example", "rep", owner_id="owner-1")
    person(services, "away@revpipe.example", "rep", owner_id="owner-2", stand_in=rep.user_id)
    viewer = person(services, "viewer@revpipe.example", "viewer")

    @app.get("/deal/<owner>")
    @access.allowed("signals.read")
    def deal(owner: str) -> str:
        access.must_own(owner_id=owner)
        return owner

    @app.get("/asked/<uuid:approver>")
    @access.allowed("signals.read")
    def asked(approver: uuid.UUID) -> str:
        access.must_own(owner_id=None, approver_id=str(approver))
        return "asked"

    @app.get("/careless")
    @access.allowed("signals.read")
    def careless() -> str:
        return "everything"

    theirs, all_ = at_home(app, services, rep), at_home(app, services, viewer)
    reached = [theirs.get(f"/deal/{owner}").status_code for owner in ("owner-1", "owner-2", "owner-3", "None")]
    assert reached == [200, 200, 403, 403]
    assert [all_.get(f"/deal/{owner}").status_code for owner in ("owner-1", "owner-3")] == [200, 200]
    assert theirs.get(f"/asked/{rep.user_id}").status_code == 200
    assert theirs.get(f"/asked/{uuid.uuid4()}").status_code == 403
    assert all_.get("/careless").text == "everything"
    withheld = theirs.get("/careless")
    assert (withheld.status_code, "everything" in withheld.text) == (403, False)


def test_a_changed_role_counts_with_the_next_request(app: Flask, services: Services, staff: Mapping[str, User]) -> None:
    @app.get("/letters")
    @access.allowed("deadletters.read")
    def letters() -> str:
        return "letters"

    client = at_home(app, services, staff["operator"])
    assert client.get("/letters").status_code == 200
    with transaction(services.engine) as tx:
        accounts.change(tx, services.clock.now(), staff["operator"].user_id, {"role": "viewer"})
    assert client.get("/letters").status_code == 403


def test_a_token_that_does_not_hold_is_nobody_even_beside_a_cookie_that_does(
    app: Flask, services: Services, staff: Mapping[str, User]
) -> None:
    client = at_home(app, services, staff["admin"])
    assert client.get(ACCOUNT).status_code == 200
    assert client.get(ACCOUNT, headers={**JSON, "Authorization": "Bearer rvp_nothing"}).status_code == 401
    assert client.get(ACCOUNT, headers={"Authorization": "Basic eDp5"}).status_code == 200


def test_no_token_reaches_the_account(app: Flask, services: Services, staff: Mapping[str, User]) -> None:
    headers = token_of(services, staff["admin"], *permissions.SCOPES)
    assert app.test_client().get(ACCOUNT, headers={**JSON, **headers}).status_code == 403


def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(app: Flask) -> None:
    client = app.test_client()
    led = client.get("/console/account?done=password", headers={"Accept": "text/html"})
    assert (led.status_code, led.location) == (303, "/console/sign-in?next=/console/account%3Fdone%3Dpassword")
    part = client.get(ACCOUNT, headers={"Accept": "text/html", "HX-Request": "true"})
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/console/sign-in")
    program = client.get(ACCOUNT, headers=JSON)
    assert (program.status_code, program.mimetype) == (401, "application/problem+json")


def test_signed_in_pages_are_kept_by_no_browser_and_nobody_frames_or_scripts_them(
    app: Flask, services: Services, staff: Mapping[str, User]
) -> None:
    page = at_home(app, services, staff["viewer"]).get(ACCOUNT)
    assert page.headers["Cache-Control"] == "no-store"
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "form-action", "connect-src")} == {"'self'"}
    assert (policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Strict-Transport-Security" not in page.headers
    secure = replace(services, settings=replace(services.settings, public_url="https://revpipe.example"))
    assert "max-age" in create_app(secure).test_client().get("/healthz").headers["Strict-Transport-Security"]


def test_a_page_shows_names_as_text(app: Flask, services: Services) -> None:
    user = person(services, "x@revpipe.example", name="<script>alert(1)</script>", owner_id="<b>1</b>")
    page = at_home(app, services, user).get(ACCOUNT).text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "<b>1" not in page
