"""What another site may make a browser send changes nothing here."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from revpipe.services import Services
from revpipe.users.account import User
from tests.integration.people import (
    ACCOUNT,
    COOKIE,
    HTTPS,
    PASSWORD,
    SIGN_IN,
    at_home,
    cookie_of,
    form_token,
    in_,
    person,
    token_of,
    web,
)

ANN = "ann@revpipe.example"
OUT = "/console/sign-out"


@pytest.fixture
def app(services: Services) -> Flask:
    return web(services)


@pytest.fixture
def ann(services: Services) -> User:
    return person(services, ANN, "admin", PASSWORD)


@pytest.fixture
def client(app: Flask, services: Services, ann: User) -> FlaskClient:
    return at_home(app, services, ann)


Send = Callable[..., TestResponse]


@pytest.fixture
def send(client: FlaskClient) -> Send:
    """Sends the sign-out's form."""

    def do(token: str | None = None, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(OUT, data={"csrf_token": token} if token else {}, headers=named)

    return do


def test_a_form_of_ours_is_taken(client: FlaskClient, send: Send) -> None:
    token = form_token(client, ACCOUNT)
    assert send(token, Sec_Fetch_Site="same-origin", Origin="http://localhost").status_code == 303


def test_the_token_may_come_in_a_header(client: FlaskClient, send: Send) -> None:
    assert send(X_CSRF_Token=form_token(client, ACCOUNT)).status_code == 303


@pytest.mark.parametrize("token", [None, "", "0" * 64, "é" * 64])
def test_without_its_token_nothing_is_taken(client: FlaskClient, send: Send, token: str | None) -> None:
    refused = send(token)
    assert refused.status_code == 403
    assert "too old, or did not come from here" in refused.text
    assert in_(client)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://localhost"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8000"},
    ],
)
def test_from_another_origin_not_even_the_right_token_is_taken(
    client: FlaskClient, send: Send, headers: dict[str, str]
) -> None:
    assert send(form_token(client, ACCOUNT), **headers).status_code == 403
    assert in_(client)


def test_the_token_of_another_session_or_of_nobody_is_not_taken(
    app: Flask, services: Services, ann: User, client: FlaskClient, send: Send
) -> None:
    mallory = at_home(app, services, person(services, "mallory@revpipe.example"))
    other_session = at_home(app, services, ann)
    nobody = app.test_client()
    for token in (form_token(mallory, ACCOUNT), form_token(other_session, ACCOUNT), form_token(nobody, SIGN_IN)):
        assert send(token).status_code == 403
    # Neither with the cookie that makes the token of nobody right: somebody may have planted that.
    client.set_cookie("revpipe-form", str(cookie_of(nobody, "revpipe-form")))
    assert send(form_token(nobody, SIGN_IN)).status_code == 403
    assert in_(client)


def test_nobody_is_signed_in_by_the_form_of_another_site(app: Flask, ann: User) -> None:
    victim = app.test_client()
    form_token(victim, SIGN_IN)
    for token in ("", form_token(app.test_client(), SIGN_IN)):
        answer = victim.post(SIGN_IN, data={"email": ANN, "password": PASSWORD, "csrf_token": token})
        assert (answer.status_code, cookie_of(victim)) == (403, None)


def test_a_token_holds_for_one_key_only(services: Services, ann: User) -> None:
    one, other = web(services, secret_key="1" * 32), web(services, secret_key="2" * 32)
    client = at_home(one, services, ann)
    token = form_token(client, ACCOUNT)
    elsewhere = other.test_client()
    elsewhere.set_cookie(COOKIE, str(cookie_of(client)))
    assert elsewhere.post(OUT, data={"csrf_token": token}).status_code == 403
    twin = web(services, secret_key="1" * 32).test_client()
    twin.set_cookie(COOKIE, str(cookie_of(client)))
    assert twin.post(OUT, data={"csrf_token": token}).status_code == 303


def test_behind_a_router_our_origin_is_the_https_one(services: Services, ann: User) -> None:
    app = web(services, public_url=HTTPS)
    for origin, code in (("https://revpipe.example", 401), ("http://revpipe.example", 403)):
        client = app.test_client()
        token = form_token(client, SIGN_IN, base_url=HTTPS)
        # The router ends TLS and speaks http to us, with the name that it was asked by.
        client.set_cookie("__Host-revpipe-form", str(_form_cookie(client)), domain="revpipe.example")
        answer = client.post(
            SIGN_IN,
            data={"email": ANN, "password": "x", "csrf_token": token},
            headers={"Origin": origin},
            base_url="http://revpipe.example",
        )
        assert answer.status_code == code


def _form_cookie(client: FlaskClient) -> str:
    found = client.get_cookie("__Host-revpipe-form", domain="revpipe.example")
    assert found is not None
    return found.value


def test_a_program_needs_no_form(app: Flask, services: Services, ann: User) -> None:
    refused = app.test_client().post(OUT, headers={"Accept": "application/json", **token_of(services, ann, "read")})
    assert "no token reaches it" in refused.text, "the token is asked for its scope, not for a form"


def test_webhooks_need_no_form(app: Flask) -> None:
    assert app.test_client().post("/webhooks/nobody", headers={"Origin": "https://hooks.example"}).status_code == 404
