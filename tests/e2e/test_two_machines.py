"""Two machines that share a broker and a database over the network; one of them is lost in the middle of the work."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from adapters.sandbox import wire
from adapters.sandbox.server import SandboxServer
from tests.e2e import machines, tcp_servers
from tests.e2e.crm_side import Doorstep, Vendors, seeded
from tests.e2e.ledger_view import Ledger
from tests.e2e.machines import MIDDLE, Machine, Network
from tests.e2e.processes import run, until

_PORT: Final = 8000
_SIGNALS: Final = 60
_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Site:
    """Machine one has the door, both have a worker and a keeper; the servers and the vendors are on neither."""

    network: Network
    one: Machine
    two: Machine
    ledger: Ledger
    vendors: Vendors
    door: Doorstep

    def send(self, count: int) -> list[str]:
        """A signal for each of so many deals, at a HubSpot slow enough that something can happen in the middle."""
        deals = self.vendors.overdue_deals(count)
        self.vendors.control.fault("hubspot", "latency", path="*tasks*", method="POST", seconds=0.4)
        for deal in deals:
            assert self.door.hubspot(self.vendors.edit(deal, amount="9800")).status == 202
        return deals

    def all_done(self, deals: list[str], seconds: float) -> None:
        """Wait for the end: each signal acted on, one task for each deal."""
        ended = self.ledger.all_ended(deals, len(deals), seconds)
        assert {row["disposition"] for row in ended} == {"acted"}
        done = self.vendors.done("tasks.create", deals)
        assert len(done) == len({one["marker"] for one in done}) == len(deals)

    def worked(self, deals: list[str], what: str, since: datetime = _EVER) -> set[int]:
        """Which processes have left `what` in the trail; hosts have one name here, so the process tells."""
        found = self.ledger.rows(
            "SELECT DISTINCT t.detail->>'worker' AS worker FROM trail t JOIN signals s USING (signal_id)"
            " WHERE t.what = :what AND t.at > :since AND s.deal_id = ANY(:deals)",
            what=what,
            since=since,
            deals=deals,
        )
        return {int(row["worker"].rpartition(":")[2]) for row in found}

    def at_work(self, machine: Machine) -> bool:
        """Whether its worker holds an action, or a signal, that it has not ended."""
        found = self.ledger.rows(
            "SELECT worker FROM actions WHERE claim_id IS NOT NULL AND lease_until > now()"
            " UNION SELECT worker FROM signals WHERE claim_id IS NOT NULL AND lease_until > now()"
        )
        return any(row["worker"].endswith(f":{machine.pid('worker')}") for row in found)


@pytest.fixture
def site(folders: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Both machines at work; skipped where a computer can't make machines, which no laptop lets everybody do."""
    if reason := machines.lacking():
        pytest.skip(reason)
    folder = folders / request.node.name.replace("[", "-").strip("]")
    folder.mkdir()
    with (
        machines.network(("one", "two"), folder) as network,
        network.middle.inside(),
        tcp_servers.running(folder, MIDDLE, f"{MIDDLE}/24") as servers,
        SandboxServer(host=MIDDLE) as sandbox,
        closing(Ledger(servers.database_url)) as ledger,
    ):
        assert run(servers.urls, "migrate").returncode == 0
        one, two = network.machines
        url = f"http://{one.address}:{_PORT}"
        made = Site(network, one, two, ledger, vendors := seeded(sandbox), Doorstep(url, vendors))
        settings = {**servers.urls, "REVPIPE_LEASE_SECONDS": "6", "LOG_FORMAT": "json"}
        one.start("web", {**settings, **vendors.web_settings(url)}, "web", "--host", one.address, "--port", str(_PORT))
        for machine in (one, two):
            machine.start("keeper", settings, "keeper")
            tokens = {**vendors.hubspot_settings, **vendors.slack_settings}
            machine.start("worker", {**settings, **tokens}, "worker", "-c", "2", "all")
        for machine in (one, two):
            machine.await_words("worker", b"worker_ready")
        until(lambda: _ready(url), "the web process and a keeper's first round")
        yield made


def _ready(url: str) -> bool:
    try:
        return bool(wire.send("GET", f"{url}/readyz").json()["keeper"] == "ok")
    except OSError:
        return False


@pytest.mark.timeout(240)
def test_both_machines_work_and_nothing_joins_them_but_the_network(site: Site) -> None:
    deals = site.send(_SIGNALS)
    site.all_done(deals, 100)
    workers = {site.one.pid("worker"), site.two.pid("worker")}
    for what in ("enriched", "decided", "done"):
        assert site.worked(deals, what) == workers, what
    seen = site.ledger.rows("SELECT DISTINCT host(client_addr) AS address FROM pg_stat_activity")
    assert {site.one.address, site.two.address} <= {row["address"] for row in seen}
    with site.two.place.inside():
        assert _ready(site.door.url)
        assert not _ready(f"http://127.0.0.1:{_PORT}")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["killed", "unplugged"])
def test_the_other_machine_finishes_all_the_work_of_one_that_is_lost(site: Site, how: str) -> None:
    deals = site.send(_SIGNALS)
    until(lambda: site.at_work(site.one) and site.vendors.done("tasks.create", deals), "work under way on machine one")
    if how == "unplugged":
        site.network.unplug(site.one)
    assert {site.one.pid(name) for name in ("web", "worker", "keeper")} <= {p.pid for p in site.one.place.processes()}
    site.one.lose()
    lost_at = site.ledger.rows("SELECT clock_timestamp() AS now")[0]["now"]
    left = [row for row in site.ledger.signals_of(deals) if not row["disposition"]]
    assert left, "it was over before the machine was lost"
    site.vendors.control.heal()
    site.all_done(deals, 200)
    assert site.worked(deals, "done", lost_at) == {site.two.pid("worker")}
