"""People for tests of the web process: users, their browsers and their tokens."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, text
from werkzeug.test import TestResponse

from revpipe.db import transaction
from revpipe.services import Services
from revpipe.users import accounts, passwords, sessions, tokens
from revpipe.users.account import User
from revpipe.web.app import create_app

PASSWORD = "seven unrelated words on paper"
COOKIE = "revpipe-session"
HTTPS = "https://revpipe.example"
ACCOUNT = "/console/account"
SIGN_IN = "/console/sign-in"


def person(services: Services, email: str, role: str = "viewer", password: str | None = None, **more: Any) -> User:
    """A user, with a password if one is given."""
    now = services.clock.now()
    with transaction(services.engine) as tx:
        user = accounts.add(tx, now, email, role, **more)
        if password is not None:
            _keep(tx, now, user, password)
    return user


def _keep(tx: Connection, now: datetime, user: User, password: str) -> None:
    """Make it their password, as the product does; but the hash of one password is computed once."""
    if password not in _HASHES:
        passwords.keep(tx, now, user.user_id, password)
        _HASHES[password] = str(passwords.kept(tx, user.email))
    tx.execute(
        text("UPDATE users SET password_hash = :made WHERE user_id = :id"),
        {"made": _HASHES[password], "id": user.user_id},
    )


_HASHES: dict[str, str] = {}


def web(services: Services, **settings: Any) -> Flask:
    """The web process with other settings."""
    return create_app(replace(services, settings=replace(services.settings, **settings)))


def at_home(app: Flask, services: Services, user: User, *, way: str = "password") -> FlaskClient:
    """A browser in which a user is signed in already."""
    with transaction(services.engine) as tx:
        made = sessions.begin(tx, services.clock.now(), user.user_id, way, "a test")
    client = app.test_client()
    client.set_cookie(COOKIE, made)
    return client


def token_of(services: Services, user: User, *scopes: str, days: int = 30) -> dict[str, str]:
    """The header by which a program of a user shows itself."""
    with transaction(services.engine) as tx:
        _, made = tokens.make(tx, services.clock.now(), user.user_id, "a test", scopes, timedelta(days=days))
    return {"Authorization": f"Bearer {made}"}


def form_token(client: FlaskClient, path: str, **how: Any) -> str:
    """What the forms of a page must send back."""
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', client.get(path, **how).text)
    assert found, f"{path} has no form"
    return found.group(1)


def post(client: FlaskClient, path: str, page: str, **fields: Any) -> TestResponse:
    """Fill a form of a page in and send it, as a browser does."""
    return client.post(path, data={**fields, "csrf_token": form_token(client, page)})


def sign_in(client: FlaskClient, email: str, password: str = PASSWORD, **more: str) -> TestResponse:
    """Sign in by the form."""
    return post(client, SIGN_IN, SIGN_IN, email=email, password=password, **more)


def in_(client: FlaskClient) -> bool:
    """Whether the browser is signed in."""
    return client.get(ACCOUNT).status_code == 200


def cookie_of(client: FlaskClient, name: str = COOKIE) -> str | None:
    """What a browser keeps under a name."""
    found = client.get_cookie(name)
    return found.value if found else None
