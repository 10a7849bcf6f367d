"""The API over real HTTP, and callers with tokens of each role."""

import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from werkzeug.serving import make_server

from revpipe import audit, rule_versions
from revpipe.db import transaction
from revpipe.rules import book as rules
from revpipe.services import Services
from revpipe.users import accounts, tokens
from revpipe.users.permissions import SCOPES
from revpipe.web.app import create_app
from tests.integration.ledger_fixtures import FakeSource, call, put, run_act, run_to

ROBIN = "owner-robin"
SAM = "owner-sam"


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    url: str
    token: str | None

    def get(self, path: str, headers: Mapping[str, str] | None = None, **query: Any) -> requests.Response:
        return self.ask("GET", path, headers=headers, params=query)

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.ask("POST", path, json=body, headers=named(headers))

    def patch(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        return self.ask("PATCH", path, json=body, headers=named(headers))

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any) -> requests.Response:
        shown = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return requests.request(
            method, f"{self.url}/api/v1{path}", headers={**shown, **(headers or {})}, timeout=30, **more
        )

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The items of all pages."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while True:
            page = self.get(path, **query, **after).json()
            found += page["items"]
            if page["next"] is None:
                return found
            after = {"after": page["next"]}


@dataclass(frozen=True)
class Called:
    """The services of an API that answers, and its address."""

    services: Services
    url: str

    def as_(self, role: str, owner_id: str | None = None, scopes: Sequence[str] = SCOPES) -> Caller:
        """A new user of a role, with a token."""
        now = datetime.now(UTC)
        with transaction(self.services.engine) as tx:
            user = accounts.add(tx, now, f"{role}-{uuid.uuid4().hex[:8]}@example.com", role, owner_id=owner_id)
            _, token = tokens.make(tx, now, user.user_id, "for a test", scopes)
        return Caller(self.url, token)

    @property
    def nobody(self) -> Caller:
        return Caller(self.url, None)


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as keywords: `if_match` for If-Match."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def answering(services: Services) -> Iterator[str]:
    """The web process over `services` on a free port of this machine; gives its address."""
    server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(timeout=30)
        server.server_close()


def for_api(services: Services) -> Services:
    """Services as the web process has them, with the fake source in place of all."""
    return replace(services, sources={"fake": FakeSource()})


@pytest.fixture
def called(services: Services) -> Iterator[Called]:
    """The API over an empty ledger."""
    made = for_api(services)
    with answering(made) as url:
        yield Called(made, url)


@pytest.fixture
def admin(called: Called) -> Caller:
    return called.as_("admin")


def furnish(services: Services) -> None:
    """Two of everything: signals that ended and that wait, plans, actions, approvals, dead letters, versions, acts."""
    for at in range(6):
        put(services, call(f"call{at}", f"d{at}"), call(f"asks{at}", f"e{at}", event="deal.stage_changed"))
        put(services, {"bad": f"reason_{at}"})
    run_to(services, "execute")
    run_act(services)
    put(services, call("open", "d-open"))
    with transaction(services.engine) as tx:
        other = rules.load(services.rules.source + "# another version\n", dict.fromkeys(services.checks))
        rule_versions.remember(tx, other)
        for at in range(2):
            audit.write(tx, services.clock.now(), "tests", f"furnish {at}", {})
