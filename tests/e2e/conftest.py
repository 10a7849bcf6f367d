"""The running system of these tests: simulated vendors in this process, everything else as real processes."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.sandbox import hubspot_account, signing
from adapters.sandbox.server import SandboxServer
from revpipe.embedded.client import wait_stopped
from revpipe.local.sockets import free_port
from tests import rabbitmq_server
from tests.e2e.crm_side import CHANNEL, OTHER_OWNER, OWNER, USER, Doorstep, Vendors
from tests.e2e.ledger_view import LedgerView
from tests.e2e.processes import left_over, process, until


@dataclass(frozen=True)
class System:
    """`revpipe up` as it runs: where it listens, its ledger, its logs, its process."""

    url: str
    vendors: Vendors
    door: Doorstep
    ledger: LedgerView
    folder: Path
    logs: Path
    pid: int


@pytest.fixture(scope="session")
def vendors() -> Iterator[Vendors]:
    """HubSpot, Gong and Slack, simulated; without limits of their own, for ours are what is tested."""
    private, public = signing.gong_key_pair()
    with SandboxServer() as server:
        made = Vendors(server, private, public)
        owners = [
            hubspot_account.owner(id, USER, f"{name}@seller.example".lower(), name, "Ruiz")
            for id, name in ((OWNER, "Vera"), (OTHER_OWNER, "Ivo"))
        ]
        made.control.seed(
            {
                "hubspot": {"owners": owners},
                "knobs": {"hubspot": {"rate_limit": None, "search_rate_limit": None}},
                "slack": {"channels": [{"id": CHANNEL, "name": "deals"}]},
            }
        )
        yield made


@pytest.fixture(scope="session", autouse=True)
def rabbit() -> Iterator[None]:
    """RabbitMQ, where these tests are to run on it."""
    if rabbitmq_server.wanted():
        with rabbitmq_server.shared():
            yield
    else:
        yield


@pytest.fixture(scope="session")
def folders() -> Iterator[Path]:
    """A place for data folders, not below pytest's: it shuts its folder to the user that root's servers run as."""
    folder = Path(tempfile.mkdtemp(prefix="rp-e2e-"))
    yield folder
    assert until(lambda: not left_over(folder), f"the end of all processes of {folder}", 60)
    for data in folder.iterdir():
        if data.is_dir():
            assert wait_stopped(data)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def running(vendors: Vendors, folders: Path) -> Iterator[System]:
    """`revpipe up` against the simulated vendors; its end is clean and leaves nothing behind."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = folders / "up"
    settings = {
        **vendors.web_settings(url),
        **vendors.hubspot_settings,
        **vendors.slack_settings,
        **rabbitmq_server.settings(),
    }
    with process(settings, folders / "up.log", "up", "--port", str(port), "--data-dir", str(folder)) as up:
        said = up.says("logs ")
        assert f"ready {url}" in said
        ledger = LedgerView(folder, "/")
        try:
            yield System(url, vendors, Doorstep(url, vendors), ledger, folder, folder / "logs", up.popen.pid)
        finally:
            ledger.close()
        assert up.stop() == 0
