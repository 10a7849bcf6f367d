"""A process killed at each boundary between two steps in turn: all the work ends all the same, each effect once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox import wire
from revpipe.crash import POINTS
from revpipe.local.sockets import free_port
from tests.e2e import armed
from tests.e2e.crm_side import Doorstep, Vendors
from tests.e2e.preloaded import process
from tests.e2e.processes import environment, until
from tests.e2e.test_stages_alone import Split
from tests.prepared_ledger import PreparedLedger

INGEST = [point for point in POINTS if point.startswith("ingest.")]
SENDING = [point for point in POINTS if point.startswith("feed.")]
SECOND_PASS = ["llm.answered"]
"""Met in test_second_pass.py, where there is a language model."""
SECOND_LOOK = [point for point in POINTS if point.startswith("recheck.")]
"""Met in test_recheck.py, where there is something approved."""
NOTIFYING = [point for point in POINTS if point.startswith("notify.")]
"""Met in test_notifying_crashes.py, where there is somebody to ask."""
KEEPING = ["sweep.written", "approval.written", *SENDING]
WORKING = [
    [point for point in POINTS if point.startswith(f"{task}.")] for task in ("enrich", "decide", "execute", "act")
]
"""By task: each of its points ends the journey of one signal, so that as many signals as points see all workers die."""


class Battlefield:
    """A system in which a process that dies is not started again."""

    def __init__(self, split: Split, vendors: Vendors, folder: Path) -> None:
        self.split = split
        self.vendors = vendors
        self.log = folder / "armed.log"
        self.log.touch()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            **split.ledger.urls,
            **vendors.web_settings(self.url),
            **vendors.hubspot_settings,
            **vendors.slack_settings,
            "REVPIPE_LEASE_SECONDS": "4",
        }
        self.deals: list[str] = []

    def start(self, what: Callable[..., None], point: str, *more: Any) -> armed.Armed:
        """A process armed for `point`."""
        return armed.Armed(point, environment(self.settings), self.log, what, *more)

    def post(self, deal: str) -> int | None:
        """An edit of a deal, posted once; the status, None if the other side died of it."""
        edit = self.vendors.edit(deal, amount="9800")
        try:
            return Doorstep(self.url, self.vendors).hubspot(edit).status
        except OSError:
            return None

    def ready_workers(self) -> int:
        """How many workers have become ready by now."""
        return self.log.read_text().count('"worker_ready"')

    def listens(self) -> bool:
        try:
            return wire.send("GET", f"{self.url}/healthz").status == 200
        except OSError:
            return False


@pytest.fixture
def field(vendors: Vendors, folders: Path, empty_ledger: PreparedLedger) -> Iterator[Battlefield]:
    """The ledger and the broker are there, and nothing else."""
    split = Split(empty_ledger.plant(folders / "crash"), vendors)
    yield Battlefield(split, vendors, folders)
    split.ledger.close()


def test_no_point_is_left_out() -> None:
    working = [point for points in WORKING for point in points]
    assert {*INGEST, *KEEPING, *SECOND_PASS, *SECOND_LOOK, *NOTIFYING, *working} == set(POINTS)


@pytest.mark.timeout(300)
def test_every_crash_point_is_survived(field: Battlefield) -> None:
    _web_dies(field)
    with process(field.settings, field.log, "web", "--port", str(field.port), "--processes", "1"):
        until(field.listens, "the web process")
        draft = _draft_to_approve(field)
        _workers_die(field)
        _keeper_dies(field, draft)
        with (
            process(field.settings, field.log, "keeper"),
            process(field.settings, field.log, "worker", "-c", "4", "all"),
        ):
            ended = field.split.ledger.all_ended(field.deals, len(field.deals), 90)
    assert {row["disposition"] for row in ended} == {"acted"}
    assert field.split.ledger.action_in(draft, "draft_followup", "expired")
    done = field.vendors.done("tasks.create", field.deals)
    assert len(done) == len({one["marker"] for one in done}) == len(field.deals)


def _web_dies(field: Battlefield) -> None:
    """Before the commit nothing is kept, after it everything; a sender who got no answer sends again.

    What is sent on is sent beside the answer, so that there it may have been given.
    """
    for point in (*INGEST, *SENDING):
        (deal,) = field.vendors.overdue_deals(1)
        child = field.start(armed.web, point, field.port)
        until(field.listens, "the armed web process")
        assert field.post(deal) in ((None, 202) if point in SENDING else (None,))
        armed.killed_themselves([child], field.log)
        assert len(field.split.ledger.signals_of([deal])) == (0 if point == "ingest.written" else 1)
        if point != "ingest.written":
            field.deals.append(deal)


def _draft_to_approve(field: Battlefield) -> str:
    """A deal whose draft waits for a person; the time for that is over once the workers have died."""
    deal = field.vendors.idle_deal("Idle too long")
    assert field.post(deal) == 202
    with process(field.settings, field.log, "worker", "-c", "2", "all"):
        field.split.ledger.action_in(deal, "draft_followup", "awaiting_approval")
        field.split.ledger.action_in(deal, "create_task", "done")
    field.split.ledger.change("UPDATE approvals SET expires_at = now(), on_expiry = 'expire' WHERE state = 'open'")
    return deal


def _workers_die(field: Battlefield) -> None:
    """All points of one task at a time; what the dead left lies under their leases, for nobody sweeps yet.

    The workers are there first: where more wait than threads are to be had, the keeper sends the others, and it is not.
    """
    for points in WORKING:
        deals = field.vendors.overdue_deals(len(points))
        before = field.ready_workers()
        workers = [field.start(armed.worker, point) for point in points]
        until(lambda: field.ready_workers() == before + len(workers), "the armed workers")  # noqa: B023
        for number, deal in enumerate(deals, 1):
            # One at a time: two that join in one chunk would die as one, and leave a worker alive.
            assert field.post(deal) == 202
            until(lambda: sum(one.poll() is not None for one in workers) >= number, "another worker's death")  # noqa: B023
        field.deals += deals
        armed.killed_themselves(workers, field.log)


def _keeper_dies(field: Battlefield, draft: str) -> None:
    """It dies with what it wrote uncommitted, or committed and not yet sent: a later one finds either."""
    for point in KEEPING:
        armed.killed_themselves([field.start(armed.keeper, point)], field.log)
        if point == "approval.written":
            assert field.split.ledger.action_in(draft, "draft_followup", "awaiting_approval", 1)
