"""A real browser before a real web process; what it looks at is brought about in this process, in the same ledger."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from revpipe.embedded.client import Lease
from revpipe.local.sockets import free_port
from revpipe.services import Services
from tests.e2e.processes import process, until
from tests.integration.conftest import MakeServices
from tests.integration.console_ground import KEY, cookie_for, urlopen_ok
from tests.integration.ledger_fixtures import FakeProvider, MovableClock

SECONDS = 30_000
"""In ms: how long anything on a page may take on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser and a web process take a while to start where much else runs."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(400))


@dataclass
class Console:
    """The console as one person has it before them: `url`, and pages that are signed in as whoever is named."""

    url: str
    services: Services
    browser: Browser
    said: list[str]
    _open: list[BrowserContext]

    def page(self, email: str = "ann@example.com", role: str = "operator", **options: Any) -> Page:
        """A page of a new browser context, signed in."""
        context = self.browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(SECONDS)
        context.add_cookies([cookie_for(self.services, email, role, self.url)])
        self._open.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.said.append(str(error)))
        return page

    def close(self) -> None:
        for context in self._open:
            context.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's chromium."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on this machine; on Debian: apt-get install chromium")
    expect.set_options(timeout=SECONDS)
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def web(pair: Lease, ledger: str, broker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web process of `revpipe web` over the ledger of these tests."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "DATABASE_URL": ledger,
        "REDIS_URL": pair.redis_url,
        "SECRET_KEY": KEY,
        **({"BROKER_URL": broker_url} if broker_url != pair.broker_url else {}),
    }
    log = tmp_path_factory.mktemp("web") / "web.log"
    with process(settings, log, "web", "--host", "127.0.0.1", "--port", str(port)):
        until(lambda: urlopen_ok(f"{url}/healthz"), "the web process", 180)
        yield url


@pytest.fixture
def console(chromium: Browser, web: str, make_services: MakeServices, clock: MovableClock) -> Iterator[Console]:
    """The console of an empty ledger. Whatever the browser complains of fails the test."""
    provider = FakeProvider(clock, DEAL)
    made = Console(web, make_services(providers=(provider,)), chromium, [], [])
    yield made
    made.close()
    assert made.said == []


DEAL = {
    "is_closed": False,
    "name": "Hooli, 40 seats",
    "stage": "contractsent",
    "stage_label": "Contract sent",
    "amount": 5_000,
    "currency": "EUR",
    "owner_id": "77",
    "owner_name": "Ann Rep",
}
"""Small enough for its actions to be of low risk."""


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where a screenshot of a name goes."""
    wanted = os.environ.get("REVPIPE_SCREENSHOTS")
    folder = Path(wanted) if wanted else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name: folder / f"{name}.png"
