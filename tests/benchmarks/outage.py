"""An outage of HubSpot in a rehearsal: a minute that stands for 40, beside a calm run of the same alerts.

`PYTHONPATH=. python tests/benchmarks/outage.py` runs it: the product as processes, with REVPIPE_TIME_SCALE=40, against
simulated vendors with their limits on. It exits 1 if anything was lost, charged or decided on less than its context.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from adapters.sandbox import hubspot_account, signing
from adapters.sandbox.server import SandboxServer
from revpipe.local.sockets import free_port
from tests.e2e.crm_side import CHANNEL, OWNER, USER, Doorstep, Vendors, competitor
from tests.e2e.ledger_view import LedgerView
from tests.e2e.processes import process, until

SCALE = 40
PATIENCE = 240.0


def main() -> int:
    """Run both halves and print what came of them."""
    parser = argparse.ArgumentParser(description="An outage of HubSpot beside a calm run.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long HubSpot is down")
    parser.add_argument("--signals", type=int, default=300, help="how many signals come meanwhile")
    parser.add_argument("--alerts", type=int, default=25, help="how many Slack alerts are on their way meanwhile")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rp-outage-"))
    private, public = signing.gong_key_pair()
    with SandboxServer() as server:
        vendors = Vendors(server, private, public)
        owner = hubspot_account.owner(OWNER, USER, "vera@seller.example", "Vera", "Ruiz")
        channel = {"id": CHANNEL, "name": "deals"}
        vendors.control.seed({"hubspot": {"owners": [owner]}, "slack": {"channels": [channel]}})
        url = f"http://127.0.0.1:{free_port()}"
        settings = {**vendors.web_settings(url), **vendors.hubspot_settings, **vendors.slack_settings}
        settings["REVPIPE_TIME_SCALE"] = str(SCALE)
        command = ("up", "--port", url.rsplit(":", 1)[1], "--data-dir", str(folder / "up"))
        with process(settings, folder / "up.log", *command) as up:
            up.says("logs ")
            ledger = LedgerView(folder / "up")
            try:
                return _tell(_rehearse(Doorstep(url, vendors), ledger, folder / "up" / "logs", options), options)
            finally:
                ledger.close()
                up.stop()
                shutil.rmtree(folder, ignore_errors=True)


def _rehearse(door: Doorstep, ledger: LedgerView, logs: Path, options: argparse.Namespace) -> dict[str, Any]:
    calm = _alerts(door, ledger, options.alerts)
    until(lambda: _done(ledger, calm), "the alerts of the calm run", PATIENCE)
    told = {"spacing_calm_s": _spacing(ledger, calm)}
    deals = [deal for _ in range(options.signals) for deal in door.vendors.overdue_deals(1)]
    busy = _alerts(door, ledger, options.alerts)
    door.vendors.control.fault("hubspot", "outage", lasts=options.seconds)
    began = time.monotonic()
    for number, deal in enumerate(deals):
        # Evenly over the outage but for its last tenth, so that all of them meet it.
        time.sleep(max(0.0, began + number * 0.9 * options.seconds / len(deals) - time.monotonic()))
        door.hubspot(door.vendors.edit(deal, amount="9700"))
    until(lambda: _done(ledger, busy), "the alerts during the outage", PATIENCE)
    told["spacing_outage_s"] = _spacing(ledger, busy)
    until(lambda: time.monotonic() >= began + options.seconds, "the end of the outage", options.seconds + 5)
    ended = ledger.all_ended(deals, len(deals), PATIENCE)
    told["drained_in_s"] = round(time.monotonic() - began - options.seconds, 1)
    return told | _counts(ledger, logs, ended)


def _alerts(door: Doorstep, ledger: LedgerView, count: int) -> list[str]:
    deals = [door.vendors.quiet_deal(f"Called {number}") for number in range(count)]
    for deal in deals:
        door.gong(door.vendors.call(deal, **competitor()))
    until(lambda: len(_of(ledger, deals)) == count, "the plans for all calls", PATIENCE)
    return deals


def _of(ledger: LedgerView, deals: Sequence[str]) -> list[dict[str, Any]]:
    return [one for one in ledger.actions_of(deals) if one["type"] == "send_alert"]


def _done(ledger: LedgerView, deals: Sequence[str]) -> bool:
    return all(one["state"] == "done" for one in _of(ledger, deals))


def _spacing(ledger: LedgerView, deals: Sequence[str]) -> float:
    """Seconds from one alert to the next, on average."""
    times = sorted(one["done_at"] for one in _of(ledger, deals))
    seconds: float = (times[-1] - times[0]).total_seconds()
    return round(seconds / (len(times) - 1), 2)


def _counts(ledger: LedgerView, logs: Path, ended: Sequence[dict[str, Any]]) -> dict[str, Any]:
    ids = [row["signal_id"] for row in ended]

    def count(question: str) -> int:
        return int(ledger.rows(f"SELECT count(*) AS n FROM {question} AND signal_id = ANY(:ids)", ids=ids)[0]["n"])

    lines = [line for log in logs.glob("*.log") for line in log.read_text(encoding="utf-8").splitlines()]
    codes = [json.loads(line)["code"] for line in lines if '"vendor call failed"' in line]
    return {
        "acted": sum(row["disposition"] == "acted" for row in ended),
        "dead_letters": count("dead_letters WHERE true"),
        "incomplete_contexts": count("contexts WHERE NOT complete"),
        "parked": count("trail WHERE what = 'parked'"),
        "resumed": count("trail WHERE what = 'resumed'"),
        "charged": count("trail WHERE what = 'enriched' AND (detail->>'attempt')::int > 2"),
        "rate_limited_by_vendors": codes.count("rate_limited"),
        "circuit_opened": sum('"circuit_opened"' in line for line in lines),
    }


def _tell(told: dict[str, Any], options: argparse.Namespace) -> int:
    title = (
        f"HubSpot down for {options.seconds:.0f} s = {options.seconds * SCALE / 60:.0f} min, {options.signals} signals"
    )
    table = Table(title=title)
    for name in ("what", "found"):
        table.add_column(name)
    for name, value in told.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
    wrong = [name for name in ("dead_letters", "incomplete_contexts", "charged") if told[name]]
    wrong += [] if told["acted"] == options.signals else ["acted"]
    if wrong:
        sys.stderr.write(f"wrong: {', '.join(wrong)}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
