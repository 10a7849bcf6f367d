"""The whole way of a sign-in by an OpenID provider, over HTTP, and what the browser keeps meanwhile."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from adapters.oidc.identity import OidcProvider
from revpipe.services import Services
from revpipe.users.account import User
from revpipe.web.app import create_app
from tests.contract import pyop_provider
from tests.contract.openid_provider import CLIENT, SECRET, Provider, serving
from tests.integration.ledger_fixtures import one, rows
from tests.integration.people import SIGN_IN, cookie_of, in_, person

ANN = "ann@revpipe.example"
BEGIN = "/console/sign-in/oidc"
KEPT = "revpipe-provider"


@pytest.fixture
def far() -> Iterator[Provider]:
    with serving(Provider()) as provider:
        yield provider


@pytest.fixture
def app(services: Services, far: Provider) -> Flask:
    settings = replace(services.settings, oidc_name="Example Login")
    return create_app(replace(services, settings=settings, identity=OidcProvider(far.url, CLIENT, SECRET)))


@pytest.fixture
def ann(services: Services) -> User:
    return person(services, ANN, "rep")


def there_and_back(client: FlaskClient, **query: str) -> TestResponse:
    """Follow the browser to the provider and back to us."""
    left = client.get(BEGIN, query_string=query)
    assert left.status_code == 303
    return client.get(brought(left.location))


def brought(location: str) -> str:
    """The path and query with which the provider sends the browser back."""
    answer = requests.get(location, allow_redirects=False, timeout=10)
    place = urlsplit(answer.headers["Location"])
    return f"{place.path}?{place.query}"


def test_a_user_comes_in(app: Flask, services: Services, ann: User) -> None:
    client = app.test_client()
    assert "Sign in by Example Login" in client.get(SIGN_IN).text
    answer = there_and_back(client, next="/console/approvals")
    assert (answer.status_code, answer.location) == (303, "/console/approvals")
    assert in_(client)
    assert cookie_of(client, KEPT) is None
    assert one(services, "SELECT way FROM sessions")["way"] == "oidc"


def test_an_address_in_another_case_is_the_same_user(app: Flask, far: Provider, ann: User) -> None:
    far.claims = {"email": "Ann@RevPipe.EXAMPLE"}
    assert there_and_back(app.test_client()).status_code == 303


@pytest.mark.parametrize(
    ("claims", "code", "words"),
    [
        ({"email_verified": False}, 403, "has not verified"),
        ({"email": "stranger@revpipe.example"}, 403, "nobody here is known"),
        ({"email": "gone@revpipe.example"}, 403, "nobody here is known"),
        ({"nonce": "another"}, 401, "did not vouch"),
    ],
)
def test_nobody_else_comes_in(
    app: Flask, services: Services, far: Provider, ann: User, claims: dict[str, Any], code: int, words: str
) -> None:
    gone = person(services, "gone@revpipe.example")
    rows(services, "UPDATE users SET active = false WHERE user_id = :id", id=gone.user_id)
    far.claims = claims
    client = app.test_client()
    answer = there_and_back(client)
    assert (answer.status_code, in_(client)) == (code, False)
    assert words in answer.text
    assert len(rows(services, "SELECT 1 FROM users")) == 2, "nobody becomes a user by signing in"


def test_an_answer_counts_only_in_the_browser_that_left(app: Flask, ann: User) -> None:
    mallory, victim = app.test_client(), app.test_client()
    place = brought(mallory.get(BEGIN).location)
    assert victim.get(place).status_code == 400
    victim.get(BEGIN)
    assert victim.get(place).status_code == 401
    assert not in_(victim)


def test_what_the_browser_keeps_can_not_be_made_up_nor_used_twice(app: Flask, ann: User) -> None:
    client = app.test_client()
    left = client.get(BEGIN)
    place = brought(left.location)
    kept = str(cookie_of(client, KEPT))
    client.set_cookie(KEPT, kept[:9] + ("A" if kept[9] != "A" else "B") + kept[10:])
    assert client.get(place).status_code == 400
    client.set_cookie(KEPT, kept)
    assert client.get(place).status_code == 303
    client.set_cookie(KEPT, kept)
    assert client.get(place).status_code == 401


def test_nobody_is_led_elsewhere_on_the_way(app: Flask, ann: User) -> None:
    assert there_and_back(app.test_client(), next="https://evil.example/").location == "/console/"


def test_a_provider_that_is_down_leaves_the_other_ways(app: Flask, far: Provider) -> None:
    far.down = "/.well-known/openid-configuration"
    answer = app.test_client().get(BEGIN)
    assert answer.status_code == 503
    assert "sign in by password or link" in answer.text
    assert 'name="password"' in answer.text


def test_without_a_provider_there_is_no_such_way(services: Services) -> None:
    client = create_app(services).test_client()
    assert client.get(BEGIN).status_code == 404
    assert BEGIN not in client.get(SIGN_IN).text


@pytest.mark.parametrize(("verified", "code"), [(True, 303), (False, 403)])
def test_a_provider_that_others_use(services: Services, ann: User, verified: bool, code: int) -> None:
    with pyop_provider.serving(f"http://localhost{BEGIN}/done", email=ANN, email_verified=verified) as url:
        oidc = OidcProvider(url, pyop_provider.CLIENT, pyop_provider.SECRET)
        client = create_app(replace(services, identity=oidc)).test_client()
        answer = there_and_back(client)
    assert (answer.status_code, in_(client)) == (code, code == 303)
