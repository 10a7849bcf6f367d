"""Each stage's worker does its work with only its own settings, while the other workers are absent."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from adapters.sandbox import wire
from config.queues import PRIORITIES
from revpipe.local.sockets import free_port
from tests.e2e.broker_view import all_text
from tests.e2e.crm_side import Doorstep, Vendors, competitor
from tests.e2e.ledger_view import LedgerView, Row
from tests.e2e.preloaded import process
from tests.e2e.processes import Process, until
from tests.prepared_ledger import PreparedLedger

PERSONAL = ("Yarrowby", "64205", "Northwind")


class Split:
    """One system whose processes the test starts one by one."""

    def __init__(self, folder: Path, vendors: Vendors) -> None:
        self.vendors = vendors
        self.ledger = LedgerView(folder)
        self._logs = folder

    def start(self, name: str, settings: Mapping[str, str], *arguments: str) -> AbstractContextManager[Process]:
        """A process that knows the servers' addresses and `settings`, and nothing else."""
        return process({**self.ledger.urls, **settings}, self._logs / f"{name}.log", *arguments)

    @contextmanager
    def worker(self, name: str, settings: Mapping[str, str], *queues: str) -> Iterator[Process]:
        """A worker of `queues`, once it is ready."""
        with self.start(name, settings, "worker", "-c", "2", *queues) as started:
            started.says("worker_ready")
            yield started

    def states(self, deals: list[str]) -> set[str]:
        """In which states the deals' signals are."""
        return {row["state"] for row in self.ledger.signals_of(deals)}

    def all_are(self, deals: list[str], state: str) -> None:
        """Wait until the deals' signals are all in `state`."""
        until(lambda: self.states(deals) == {state}, f"signals {state}")

    def actions(self, deals: list[str], kind: str) -> list[Row]:
        """The deals' actions of a type."""
        return [row for row in self.ledger.actions_of(deals) if row["type"] == kind]


@pytest.fixture
def split(vendors: Vendors, folders: Path, empty_ledger: PreparedLedger) -> Iterator[Split]:
    """A migrated ledger and a broker, without any process."""
    made = Split(empty_ledger.plant(folders / "split"), vendors)
    yield made
    made.ledger.close()


@contextmanager
def _web(split: Split) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with split.start("web", split.vendors.web_settings(url), "web", "--port", str(port), "--processes", "1"):
        until(lambda: _answers(url), "the web process")
        yield url


def _answers(url: str) -> bool:
    try:
        return wire.send("GET", f"{url}/healthz").status == 200
    except OSError:
        return False


def _stage(name: str) -> list[str]:
    return [f"{name}.{priority}" for priority in PRIORITIES]


@pytest.mark.timeout(300)
def test_each_worker_alone_takes_the_work_one_step_further(split: Split) -> None:
    with _web(split) as url:
        deals = _received(split, url)
        with split.start("keeper", {}, "keeper") as keeper:
            until(lambda: wire.send("GET", f"{url}/readyz").json()["keeper"] == "ok", "the keeper's first round")
            with split.worker("enrich", split.vendors.hubspot_settings, *_stage("enrich")):
                split.all_are(deals, "enriched")
            assert split.actions(deals, "create_task") == []
            with split.worker("decide", {}, *_stage("decide")):
                split.all_are(deals, "decided")
            assert {row["state"] for row in split.actions(deals, "create_task")} == {"planned"}
            with split.worker("execute", {}, *_stage("execute")):
                split.all_are(deals, "waiting")
            _task_once_though_its_worker_dies(split, deals)
            assert {row["state"] for row in split.actions(deals, "send_alert")} == {"ready"}
            with split.worker("slack", split.vendors.slack_settings, "execute.slack"):
                split.ledger.action_in(deals[1], "send_alert", "done")
            split.ledger.all_ended(deals[:1], 1)
            _a_dead_keeper_shows(split, keeper, url)


def _received(split: Split, url: str) -> list[str]:
    """Two signals that wait in the ledger, with their messages in the broker and nothing personal there."""
    door = Doorstep(url, split.vendors)
    (overdue,) = split.vendors.overdue_deals(1)
    called = split.vendors.quiet_deal("Yarrowby, renewal")
    assert door.hubspot(split.vendors.edit(overdue, amount="64205")).status == 202
    assert door.gong(split.vendors.call(called, **competitor())).status == 202
    assert split.states([overdue, called]) == {"received"}
    ids = [str(row["signal_id"]) for row in split.ledger.signals_of([overdue, called])]

    def held_all() -> str:
        text = all_text(split.ledger.broker_url)
        return text if all(one in text for one in ids) else ""

    held = until(held_all, "the messages, which are sent beside the answer")
    assert [word for word in PERSONAL if word in held] == []
    return [overdue, called]


def _task_once_though_its_worker_dies(split: Split, deals: list[str]) -> None:
    """The worker of HubSpot dies between effect and commit: the next one looks, finds and does not repeat."""
    settings = split.vendors.hubspot_settings
    command = ("worker", "-c", "1", "execute.hubspot")
    with split.start("hubspot-crash", {**settings, "REVPIPE_CRASH_POINT": "act.after_effect"}, *command) as doomed:
        assert doomed.ended() == -signal.SIGKILL
    made = split.vendors.done("tasks.create", deals)
    assert made
    with split.worker("hubspot", settings, "execute.hubspot"):
        tasks = [split.ledger.action_in(deal, "create_task", "done", 100) for deal in deals]
    assert len(split.vendors.done("tasks.create", deals)) == len(deals)
    markers = {one["marker"] for one in made}
    for task in tasks:
        happened = split.ledger.happened(task["signal_id"])
        assert ("found_done" in happened) == (task["action_id"].hex in markers)


def _a_dead_keeper_shows(split: Split, keeper: Process, url: str) -> None:
    """The keeper's last round is put half a minute back once it is dead, in place of waiting for so long."""
    ready = wire.send("GET", f"{url}/readyz")
    assert (ready.status, ready.json()["keeper"]) == (200, "ok")
    keeper.kill()
    split.ledger.change("UPDATE leases SET round_at = round_at - interval '31 seconds' WHERE duty = 'keeper'")
    ready = wire.send("GET", f"{url}/readyz")
    assert ready.status == 200  # Webhooks are still taken; what they ask for is only done later.
    assert "revpipe keeper" in ready.json()["keeper"]
