"""Processes told to stop as a platform does it: SIGTERM to the whole group, SIGKILL to what is left.

Here each kind of process is started as a platform does it, too: by its command line, after `revpipe migrate`.
"""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.sandbox import wire
from revpipe.local.sockets import free_port
from tests.e2e import preloaded
from tests.e2e.crm_side import Doorstep, Vendors
from tests.e2e.processes import Process, process, run, until
from tests.e2e.test_stages_alone import Split

DEALS = 24
GRACE = 30.0
"""Seconds from SIGTERM to SIGKILL (Heroku, Dyno shutdown)."""


@pytest.fixture
def split(vendors: Vendors, folders: Path) -> Iterator[Split]:
    """The ledger and the broker; tasks take HubSpot three seconds."""
    made = Split(folders / "shutdown", vendors)
    assert run(made.ledger.urls, "migrate").returncode == 0
    vendors.control.fault("hubspot", "latency", path="*tasks*", method="POST", seconds=3)
    yield made
    vendors.control.heal()
    made.ledger.close()


@pytest.fixture
def settings(split: Split) -> dict[str, str]:
    """What the processes of this test are told."""
    return {**split.vendors.hubspot_settings, **split.vendors.slack_settings, "REVPIPE_LEASE_SECONDS": "6"}


def _ready(url: str) -> bool:
    try:
        return wire.send("GET", f"{url}/healthz").status == 200
    except OSError:
        return False


def _stream(door: Doorstep, vendors: Vendors, deals: list[str], accepted: list[str], stop: threading.Event) -> None:
    """Post an edit of each deal until told to stop; what was answered 202 counts as accepted."""
    for deal in deals:
        if stop.is_set():
            return
        try:
            if door.hubspot(vendors.edit(deal, amount="9800")).status == 202:
                accepted.append(deal)
        except OSError:
            stop.wait(0.05)


def _busy(split: Split, deals: list[str]) -> bool:
    """Whether some of the deals' tasks are in the middle of their call."""
    return any(row["state"] == "running" and row["maybe_done"] for row in split.ledger.actions_of(deals))


def _held(split: Split) -> int:
    """Rows that somebody still holds."""
    question = (
        "SELECT count(*) AS n FROM (SELECT claim_id FROM signals UNION ALL SELECT claim_id FROM actions) AS work"
        " WHERE claim_id IS NOT NULL"
    )
    return int(split.ledger.rows(question)[0]["n"])


def _swept(split: Split) -> int:
    return int(
        split.ledger.rows(
            "SELECT count(*) AS n FROM trail WHERE what = 'swept' AND detail ->> 'cause' = 'lease_expired'"
        )[0]["n"]
    )


def _once_each(split: Split, deals: list[str]) -> None:
    ended = split.ledger.all_ended(deals, len(deals), 120)
    assert {row["disposition"] for row in ended} == {"acted"}
    done = split.vendors.done("tasks.create", deals)
    assert len(done) == len({one["marker"] for one in done}) == len(deals)


@pytest.mark.timeout(240)
def test_a_worker_told_to_stop_brings_its_work_to_an_end_and_a_killed_one_is_replaced(
    split: Split, settings: dict[str, str], folders: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = folders / "shutdown.log"
    deals = split.vendors.overdue_deals(DEALS)
    accepted: list[str] = []
    web = {**settings, **split.ledger.urls, **split.vendors.web_settings(url)}
    with process(web, log, "keeper"):
        with process(web, log, "web", "--port", str(port), "--processes", "2") as receiving:
            until(lambda: _ready(url), "the web process")
            _web_stops_in_a_stream(split, receiving, url, deals, accepted)
        worker = ("worker", "-c", "4", "all")
        with process(web, log, *worker) as first:
            until(lambda: _busy(split, accepted), "work in the middle of its call")
            first.signal_group(signal.SIGTERM)
            assert first.ended(GRACE) == 0
        assert _held(split) == 0
        finished = [row for row in split.ledger.actions_of(accepted) if row["state"] == "done"]
        assert len(split.vendors.done("tasks.create", accepted)) == len(finished) > 0
        assert _swept(split) == 0
        with preloaded.process(web, log, *worker) as second:
            until(lambda: _busy(split, accepted), "work in the middle of its call")
            second.signal_group(signal.SIGTERM)
            second.signal_group(signal.SIGKILL)
            assert second.ended(5) == -signal.SIGKILL
        assert _held(split) > 0
        split.vendors.control.heal()
        with preloaded.process(web, log, *worker):
            _once_each(split, accepted)
    assert _swept(split) > 0


def _web_stops_in_a_stream(split: Split, receiving: Process, url: str, deals: list[str], accepted: list[str]) -> None:
    """Told to stop while requests stream in: it ends, and whatever it answered 202 is in the ledger."""
    stop = threading.Event()
    door = Doorstep(url, split.vendors)
    sender = threading.Thread(target=_stream, args=(door, split.vendors, deals, accepted, stop))
    sender.start()
    until(lambda: len(accepted) > DEALS // 2, "half of the requests")
    receiving.signal_group(signal.SIGTERM)
    assert receiving.ended(GRACE) == 0
    stop.set()
    sender.join(10)
    kept = [row["deal_id"] for row in split.ledger.signals_of(deals)]
    assert set(accepted) <= set(kept)
    # One whose answer was cut off on its way is in the ledger all the same.
    accepted[:] = kept
