"""HubSpot is down for a while: its work waits and comes out whole, and nobody else's is slower for it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import System
from tests.e2e.crm_side import competitor
from tests.e2e.processes import until

LASTS = 14.0
ALERTS = 10


@pytest.fixture
def healed(running: System) -> Iterator[None]:
    yield
    running.vendors.control.heal()


@pytest.mark.usefixtures("healed")
def test_an_outage_parks_its_work_burns_nothing_and_ends_in_full_context(running: System) -> None:
    vendors, ledger = running.vendors, running.ledger
    called = [vendors.quiet_deal(f"Called {number}") for number in range(ALERTS)]
    edited = vendors.overdue_deals(12)
    before = len(circuit_lines(running.logs))

    # Alerts go to one channel, one a second, so they are still on their way when HubSpot goes down.
    for deal in called:
        assert running.door.gong(vendors.call(deal, **competitor())).status == 202
    until(lambda: len(alerts(running, called)) == ALERTS, "the plans for all calls")
    vendors.control.fault("hubspot", "outage", lasts=LASTS)
    down_at = datetime.now(UTC)
    for deal in edited:
        assert running.door.hubspot(vendors.edit(deal, amount="9700")).status == 202

    until(lambda: waiting(running, edited) == len(edited), "all signals parked for HubSpot's circuit", 30)
    until(lambda: all(one["state"] == "done" for one in alerts(running, called)), "all alerts", 30)
    ended = ledger.all_ended(edited, len(edited))
    assert {row["disposition"] for row in ended} == {"acted"}
    assert all(row["done_at"] > down_at for row in ended)
    assert len(vendors.done("tasks.create", edited)) == len(edited)
    until(lambda: all(one["state"] == "done" for one in of_type(running, called, "create_task")), "all tasks", 30)
    assert len(vendors.done("tasks.create", called)) == ALERTS

    ids = [row["signal_id"] for row in ended]
    assert ledger.rows("SELECT * FROM dead_letters WHERE signal_id = ANY(:ids)", ids=ids) == []
    contexts = ledger.rows("SELECT complete FROM contexts WHERE signal_id = ANY(:ids)", ids=ids)
    assert [one["complete"] for one in contexts] == [True] * len(edited)
    tries = ledger.rows(
        "SELECT (detail->>'attempt')::int AS n FROM trail WHERE what = 'enriched' AND signal_id = ANY(:ids)", ids=ids
    )
    # Those that met the outage before the circuit opened were tried once in vain; nothing that waited was charged.
    assert len(tries) == len(edited)
    assert max(one["n"] for one in tries) <= 2
    late = [one for one in alerts(running, called) if one["done_at"] > down_at]
    # Slack's went on while HubSpot's waited; not all of them need be out by then, for they go at one a second.
    assert min(one["done_at"] for one in late) < min(row["done_at"] for row in ended)
    lines = circuit_lines(running.logs)[before:]
    assert [(line["event"], line["vendor"]) for line in lines] == [
        ("circuit_opened", "hubspot"),
        ("circuit_closed", "hubspot"),
    ]


def alerts(running: System, deals: list[str]) -> list[dict[str, Any]]:
    return of_type(running, deals, "send_alert")


def of_type(running: System, deals: list[str], kind: str) -> list[dict[str, Any]]:
    return [one for one in running.ledger.actions_of(deals) if one["type"] == kind]


def waiting(running: System, deals: list[str]) -> int:
    return sum(row["waits_for"] == "hubspot:default" for row in running.ledger.signals_of(deals))


def circuit_lines(logs: Path) -> list[dict[str, Any]]:
    """What the processes said of circuits, in order of time."""
    found = []
    for log in logs.glob("*.log"):
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"circuit_opened"' in line or '"circuit_closed"' in line:
                found.append(json.loads(line))
    # Writing has a circuit of its own, which opens only if enough was being written when the outage began.
    return sorted((one for one in found if one["kind"] != "write"), key=lambda line: str(line["timestamp"]))
