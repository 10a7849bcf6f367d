"""The broker and the database away, frozen or cut off, under a web process, a worker and a keeper that live on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from adapters.sandbox import wire
from revpipe.drill.proxy import Proxy
from revpipe.local.sockets import free_port
from tests.e2e.crm_side import Doorstep, Json, Vendors
from tests.e2e.preloaded import process
from tests.e2e.processes import Process, until
from tests.e2e.test_stages_alone import Split
from tests.prepared_ledger import PreparedLedger

EACH = 4
"""Signals for each trouble."""


class Linked:
    """A system whose processes reach their servers over links that the test can break."""

    def __init__(self, split: Split, broker: Proxy, database: Proxy, url: str) -> None:
        self.split = split
        self.broker = broker
        self.database = database
        self.url = url
        self.door = Doorstep(url, split.vendors)
        self.processes: dict[str, Process] = {}

    def edits(self, count: int) -> dict[str, list[Json]]:
        """Edits of as many deals: the events of each, which may be sent again."""
        vendors = self.split.vendors
        return {deal: vendors.edit(deal, amount="9800") for deal in vendors.overdue_deals(count)}

    def post(self, events: list[Json]) -> wire.Answer:
        """Send events as the vendor does; no answer in time fails the test."""
        return self.door.hubspot(events)

    @contextmanager
    def in_work(self, events: list[Json]) -> Iterator[None]:
        """Send events of a deal; in the block its task is in the middle of the call, which takes three seconds."""
        control = self.split.vendors.control
        control.fault("hubspot", "latency", path="*tasks*", method="POST", seconds=3)
        assert self.post(events).status == 202
        deal = str(events[0]["objectId"])
        self.all_live()
        until(lambda: [one for one in self.split.ledger.actions_of([deal]) if one["maybe_done"]], "a call under way")
        yield
        control.heal()

    def all_done(self, deals: list[str]) -> None:
        """Wait for the end; one task for each deal, and the processes are the same as before.

        Two messages of a signal may be lost one after the other; on RabbitMQ the sweep takes up to 80 s for each.
        """
        ended = self.split.ledger.all_ended(deals, len(deals), 220)
        assert {row["disposition"] for row in ended} == {"acted"}
        done = self.split.vendors.done("tasks.create", deals)
        assert len(done) == len({one["marker"] for one in done}) == len(deals)
        self.all_live()

    def all_live(self) -> None:
        """Check that no trouble has ended a process."""
        assert [name for name, one in self.processes.items() if one.popen.poll() is not None] == []


@pytest.fixture(scope="module")
def linked(vendors: Vendors, folders: Path, empty_ledger: PreparedLedger) -> Iterator[Linked]:
    """Web, worker and keeper behind links."""
    split = Split(empty_ledger.plant(folders / "links"), vendors)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    direct = make_url(split.ledger.database_url)
    with ExitStack() as stack:
        stack.callback(split.ledger.close)
        broker = stack.enter_context(Proxy(split.ledger.broker_end))
        database = stack.enter_context(Proxy(Path(str(direct.query["host"])) / ".s.PGSQL.5432"))
        by_link = direct.difference_update_query(["host", "port"]).set(host="127.0.0.1", port=database.port)
        settings = {
            **split.ledger.urls,
            **split.ledger.over(broker.port),
            **vendors.web_settings(url),
            **vendors.hubspot_settings,
            **vendors.slack_settings,
            "DATABASE_URL": by_link.render_as_string(hide_password=False).replace("+psycopg", ""),
            "REVPIPE_LEASE_SECONDS": "6",
        }
        made = Linked(split, broker, database, url)
        for name, words in {
            "web": ("web", "--port", str(port), "--processes", "1"),
            "worker": ("worker", "-c", "4", "all"),
            "keeper": ("keeper",),
        }.items():
            log = folders / f"links-{name}.log"
            made.processes[name] = stack.enter_context(process(settings, log, *words))
        made.processes["worker"].says("worker_ready")
        until(lambda: _fed(url), "the web process and the keeper's first round")
        yield made


def _fed(url: str) -> bool:
    try:
        return bool(wire.send("GET", f"{url}/readyz").json()["keeper"] == "ok")
    except OSError:
        return False


@pytest.mark.timeout(320)
@pytest.mark.parametrize("trouble", ["refuse", "stall", "stall-old", "cut"])
def test_requests_are_accepted_whatever_the_broker_does(linked: Linked, trouble: str) -> None:
    first, *others = (edits := linked.edits(EACH)).values()
    with linked.in_work(first):
        linked.broker.set(trouble)
    assert [linked.post(one).json()["accepted"] for one in others] == [1] * len(others)
    linked.broker.set("pass")
    linked.all_done(list(edits))


@pytest.mark.timeout(320)
def test_nothing_is_acknowledged_while_the_database_is_away(linked: Linked) -> None:
    first, *others = (edits := linked.edits(EACH)).values()
    assert linked.post(first).status == 202
    linked.database.set("refuse")
    for one in others:
        refused = linked.post(one)
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) > 0
    assert wire.send("GET", f"{linked.url}/readyz").status == 503
    assert wire.send("GET", f"{linked.url}/healthz").status == 200
    linked.database.set("pass")
    assert len(linked.split.ledger.signals_of(list(edits))) == 1
    assert [linked.post(one).json()["accepted"] for one in others] == [1] * len(others)
    linked.all_done(list(edits))


@pytest.mark.timeout(320)
def test_connections_to_the_database_that_break_in_the_middle_of_work(linked: Linked) -> None:
    edits = linked.edits(EACH * 3)
    for one in edits.values():
        linked.database.set("cut")
        if linked.post(one).status != 202:
            assert linked.post(one).status == 202
    linked.all_done(list(edits))
