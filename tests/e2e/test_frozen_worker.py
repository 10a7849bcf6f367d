"""A worker that freezes between its last look at the lease and its call, and wakes up when another did the work."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from revpipe.circuits import scope_of
from revpipe.errors import RateLimited
from revpipe.gate import LIMITS, RedisGate
from revpipe.local.sockets import free_port
from tests.e2e.crm_side import Doorstep, Vendors
from tests.e2e.preloaded import process
from tests.e2e.processes import until
from tests.e2e.test_shutdown import _ready
from tests.e2e.test_stages_alone import Split
from tests.prepared_ledger import PreparedLedger

LEASE = "4"


@pytest.fixture
def split(vendors: Vendors, folders: Path, empty_ledger: PreparedLedger) -> Iterator[Split]:
    """The ledger and the broker."""
    made = Split(empty_ledger.plant(folders / "frozen"), vendors)
    yield made
    made.ledger.close()


@contextmanager
def _no_tokens(split: Split) -> Iterator[None]:
    """HubSpot tells somebody to wait, again and again as long as the block lasts: so all wait, for six seconds more."""
    over, refused = threading.Event(), threading.Event()

    def refuse() -> None:
        with redis.Redis.from_url(split.ledger.redis_url) as client:
            gate = RedisGate(client, LIMITS, scope_of(split.ledger.database_url))
            while True:
                gate.report("hubspot", "default", RateLimited("not now", retry_after=6))
                refused.set()
                if over.wait(0.5):
                    return

    thread = threading.Thread(target=refuse)
    thread.start()
    assert refused.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.timeout(200)
def test_what_wakes_up_late_sends_nothing(split: Split, folders: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    vendors = split.vendors
    settings = {
        **split.ledger.urls,
        **vendors.web_settings(url),
        **vendors.hubspot_settings,
        **vendors.slack_settings,
        "REVPIPE_LEASE_SECONDS": LEASE,
    }
    log = folders / "frozen.log"
    (deal,) = vendors.overdue_deals(1)
    with (
        process(settings, log, "web", "--port", str(port), "--processes", "1"),
        process(settings, log, "keeper"),
        process(settings, log, "worker", "-c", "2", "enrich", "decide", "execute"),
    ):
        until(lambda: _ready(url), "the web process")
        assert Doorstep(url, vendors).hubspot(vendors.edit(deal, amount="9800")).status == 202
        split.ledger.action_in(deal, "create_task", "ready")
        with ExitStack() as stack:
            with _no_tokens(split):
                log_of_it = folders / "freezing.log"
                command = ("worker", "-c", "1", "execute.hubspot")
                freezing = stack.enter_context(process(settings, log_of_it, *command))
                until(lambda: _about_to_call(split, deal), "an action whose call waits for its rate")
                freezing.popen.send_signal(signal.SIGSTOP)
            with process(settings, log, "worker", "-c", "1", "execute.hubspot"):
                split.ledger.action_in(deal, "create_task", "done", 100)
            freezing.popen.send_signal(signal.SIGCONT)
            # What it holds comes to an end one way or the other before a worker stops.
            assert freezing.stop() == 0
    assert len(vendors.done("tasks.create", [deal])) == 1


def _about_to_call(split: Split, deal: str) -> bool:
    return any(row["state"] == "running" and row["maybe_done"] for row in split.ledger.actions_of([deal]))
