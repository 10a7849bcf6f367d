"""How soon work moves again after a disaster, and that nothing is sent twice which merely waits.

`PYTHONPATH=. python tests/benchmarks/recovery.py killed|flushed|stopped` runs one of three:

killed   all workers get SIGKILL with 1,000 signals in flight, and new ones are started
flushed  the broker loses everything with 1,000 signals in flight
stopped  50,000 signals come while no worker runs; after ten minutes workers are started

It prints what came of it as JSON and exits 1 if anything was lost, done twice, or sent again without need.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import redis

from adapters.sandbox import hubspot_account, signing, wire
from adapters.sandbox.server import SandboxServer
from revpipe.local.sockets import free_port
from tests.e2e.crm_side import CHANNEL, OWNER, USER, Doorstep, Json, Vendors
from tests.e2e.ledger_view import LedgerView
from tests.e2e.processes import Process, run, until

BATCH: Final = 100
PATIENCE: Final = 900.0
PORTAL: Final = 24681357


class Stage:
    """The product as processes of its own, of which workers may be killed."""

    def __init__(self, folder: Path, vendors: Vendors, stack: ExitStack) -> None:
        self.vendors = vendors
        self.ledger = LedgerView(folder / "data")
        stack.callback(self.ledger.close)
        assert run(self.ledger.urls, "migrate").returncode == 0
        self.url = f"http://127.0.0.1:{free_port()}"
        self.door = Doorstep(self.url, vendors)
        self._folder = folder
        self._stack = stack
        self._settings = {
            **self.ledger.urls,
            **vendors.web_settings(self.url),
            **vendors.hubspot_settings,
            **vendors.slack_settings,
        }
        self.start("web", "web", "--port", self.url.rsplit(":", 1)[1], "--processes", "1")
        self.start("keeper", "keeper")
        until(self._ready, "web and keeper")

    def start(self, name: str, *words: str) -> Process:
        """One process, ended with the stage."""
        started = Process(self._settings, self._folder / f"{name}.log", *words)
        self._stack.callback(started.kill)
        return started

    def workers(self, name: str) -> list[Process]:
        """The two workers that `revpipe up` has, once they are ready."""
        found = [
            self.start(f"{name}-urgent", "worker", "-c", "4", "immediate", "high"),
            self.start(f"{name}-bulk", "worker", "-c", "4", "all", "--", "-immediate", "-high"),
        ]
        for one in found:
            one.says("worker_ready")
        return found

    def count(self, question: str, **values: Any) -> int:
        """The one number that a question in SQL answers."""
        return int(next(iter(self.ledger.rows(question, **values)[0].values())))

    def swept(self) -> dict[str, int]:
        """What the sweep caught, by cause."""
        found = self.ledger.rows(
            "SELECT detail ->> 'cause' AS cause, count(*) AS n FROM trail WHERE what = 'swept' GROUP BY 1"
        )
        return {row["cause"]: row["n"] for row in found}

    def _ready(self) -> bool:
        try:
            return bool(wire.send("GET", f"{self.url}/readyz").json().get("keeper") == "ok")
        except OSError:
            return False


def in_flight(stage: Stage, disaster: Callable[[Stage, list[Process]], None], signals: int) -> dict[str, Any]:
    """A disaster while signals, each with a task for HubSpot, are on their way."""
    workers = stage.workers("first")
    deals = stage.vendors.overdue_deals(signals)
    for start in range(0, signals, BATCH):
        events = [event for deal in deals[start : start + BATCH] for event in stage.vendors.edit(deal, amount="9800")]
        assert stage.door.hubspot(events).status == 202
    until(lambda: stage.vendors.done("tasks.create", deals), "the first task")
    open_then = stage.count("SELECT count(*) FROM signals WHERE state <> 'done'")
    at, began = stage.ledger.rows("SELECT now() AS at")[0]["at"], time.monotonic()
    disaster(stage, workers)
    ended = stage.ledger.all_ended(deals, signals, PATIENCE)
    done = stage.vendors.done("tasks.create", deals)
    return {
        "signals": signals,
        "in_flight_at_the_disaster": open_then,
        **_moved_again(stage, at),
        "all_done_s": round(time.monotonic() - began, 1),
        "acted": sum(row["disposition"] == "acted" for row in ended),
        "tasks": len(done),
        "tasks_twice": len(done) - len({one["marker"] for one in done}),
        "swept": stage.swept(),
    }


def _moved_again(stage: Stage, at: Any) -> dict[str, float]:
    """Seconds from the disaster to the next movement of what was lost in it: of the first signal, and of the last."""
    (found,) = stage.ledger.rows(
        "SELECT extract(epoch FROM min(moved) - :at) AS first, extract(epoch FROM max(moved) - :at) AS last FROM"
        " (SELECT min(at) FILTER (WHERE what <> 'swept') AS moved FROM trail WHERE at > :at AND signal_id IN"
        " (SELECT signal_id FROM trail WHERE what = 'swept' AND at > :at) GROUP BY signal_id) AS lost",
        at=at,
    )
    return {"first_movement_s": round(float(found["first"]), 1), "last_movement_s": round(float(found["last"]), 1)}


def killed(stage: Stage, workers: list[Process]) -> None:
    """SIGKILL of all workers; others are started as a platform would."""
    for one in workers:
        one.kill()
    stage.workers("second")


def flushed(stage: Stage, _workers: list[Process]) -> None:
    """FLUSHALL."""
    with redis.Redis.from_url(stage.ledger.redis_url) as broker:
        broker.flushall()


def stopped(stage: Stage, signals: int, minutes: float) -> dict[str, Any]:
    """Signals of no consequence come while no worker runs."""
    deals = [stage.vendors.quiet_deal(f"Quiet {number}") for number in range(200)]
    for start in range(0, signals, BATCH):
        assert stage.door.hubspot([_noise(deals, number) for number in range(start, start + BATCH)]).status == 202
    accepted = stage.count("SELECT count(*) FROM signals")
    time.sleep(minutes * 60)
    before = stage.swept()
    held = stage.count("SELECT count(*) FROM signals WHERE sent_at IS NOT NULL")
    stage.workers("late")
    began = time.monotonic()
    until(lambda: not stage.count("SELECT count(*) FROM signals WHERE state <> 'done'"), "the end of all", PATIENCE, 2)
    return {
        "signals": accepted,
        "minutes_without_workers": minutes,
        "sent_meanwhile": held,
        "swept_while_waiting": before,
        "swept": stage.swept(),
        "drained_s": round(time.monotonic() - began, 1),
        "nothing_due": stage.count("SELECT count(*) FROM signals WHERE disposition = 'nothing_due'"),
    }


def _noise(deals: list[str], number: int) -> Json:
    return {
        "eventId": 900_000_000 + number,
        "subscriptionId": 1,
        "portalId": PORTAL,
        "appId": 1357924,
        "occurredAt": int(time.time() * 1000) - number % 1000,
        "subscriptionType": "deal.propertyChange",
        "attemptNumber": 0,
        "objectId": int(deals[number % len(deals)]),
        "propertyName": "description",
        "propertyValue": f"note {number}",
        "changeSource": "CRM_UI",
    }


def main() -> int:
    """Run one disaster and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["killed", "flushed", "stopped"])
    parser.add_argument("--signals", type=int)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long no worker runs (stopped)")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rp-recovery-"))
    with SandboxServer() as server, ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        vendors = Vendors(server, *signing.gong_key_pair())
        owner = hubspot_account.owner(OWNER, USER, "vera@seller.example", "Vera", "Ruiz")
        knobs = {"hubspot": {"rate_limit": None, "search_rate_limit": None}}
        channels = {"channels": [{"id": CHANNEL, "name": "deals"}]}
        vendors.control.seed({"hubspot": {"owners": [owner]}, "knobs": knobs, "slack": channels})
        stage = Stage(folder, vendors, stack)
        if options.what == "stopped":
            found = stopped(stage, options.signals or 50_000, options.minutes)
            good = not any(found["swept"].values()) and found["nothing_due"] == found["signals"]
        else:
            disaster = killed if options.what == "killed" else flushed
            found = in_flight(stage, disaster, options.signals or 1_000)
            good = found["acted"] == found["signals"] == found["tasks"] and not found["tasks_twice"]
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
