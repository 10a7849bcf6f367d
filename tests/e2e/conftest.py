"""The running system of these tests: simulated vendors in this process, everything else as real processes."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.sandbox.server import SandboxServer
from revpipe.embedded.client import wait_stopped
from revpipe.local.sockets import free_port
from tests import rabbitmq_server
from tests.e2e.crm_side import Doorstep, Vendors, seeded
from tests.e2e.ledger_view import LedgerView
from tests.e2e.processes import left_over, process, until
from tests.prepared_ledger import PreparedLedger, empty_ledger

__all__ = ["empty_ledger"]


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
    with SandboxServer() as server:
        yield seeded(server)


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
def running(vendors: Vendors, folders: Path, empty_ledger: PreparedLedger) -> Iterator[System]:
    """`revpipe up` against the simulated vendors; its end is clean and leaves nothing behind."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = empty_ledger.plant(folders / "up")
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
