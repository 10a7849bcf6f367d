"""Flower shows the stages' tasks by queue, and neither it nor the broker nor a log shows customer data."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.sandbox import wire
from revpipe.local.sockets import free_port
from tests.e2e.broker_view import all_text
from tests.e2e.conftest import System
from tests.e2e.crm_side import competitor
from tests.e2e.processes import process, until

PAGES = ("/", "/workers", "/tasks", "/broker", "/api/workers?refresh=1", "/api/tasks?limit=1000", "/api/task/types")
WORKERS = 3
SECRETS = ("Zebulon", "Quarrington", "quarrington@zebulon.example", "83417", "vera@seller.example", "Northwind")


@pytest.fixture
def flower(running: System) -> Iterator[str]:
    """Flower as the Procfile starts it, its API open to this test."""
    port = free_port()
    settings = {**running.ledger.urls, "FLOWER_UNAUTHENTICATED_API": "true"}
    log = running.logs / "flower.log"
    with process(settings, log, "flower", "--port", str(port)):
        url = f"http://127.0.0.1:{port}"
        until(lambda: _page(url, "/healthcheck") is not None, "Flower's answer")
        until(lambda: _workers(url) >= WORKERS, f"all {WORKERS} workers in Flower")
        # Workers tell of their tasks only once Flower has asked them to, and never of those before.
        until(lambda: _sees_tasks(running, url), "any task in Flower", every=0.5)
        yield url


def _page(url: str, path: str) -> str | None:
    try:
        answer = wire.send("GET", url + path, timeout=30)
    except OSError:
        return None
    return answer.body.decode("utf-8", "replace") if answer.status == 200 else None


def _workers(url: str) -> int:
    told = json.loads(_page(url, "/workers?json=1") or '{"data": []}')["data"]
    return len([one for one in told if one["status"]])


def _sees_tasks(running: System, url: str) -> bool:
    deal = running.vendors.quiet_deal("Nobody's business")
    running.door.hubspot(running.vendors.edit(deal, description="tidied"))
    running.ledger.all_ended([deal], 1)
    return bool(_tasks(url))


def _tasks(url: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_page(url, "/api/tasks?limit=1000") or "{}")
    return found


def test_flower_shows_tasks_by_queue_and_no_customer_data(running: System, flower: str) -> None:
    deal = running.vendors.idle_deal("Zebulon, 40 seats for Quarrington")
    events = running.vendors.edit(deal, amount="83417", hs_next_step="Write to quarrington@zebulon.example")
    assert running.door.hubspot(events).status == 202
    assert running.door.gong(running.vendors.call(deal, **competitor())).status == 202
    running.ledger.action_in(deal, "create_task", "done")
    running.ledger.action_in(deal, "send_alert", "done")

    def stages() -> set[str]:
        return {str(one["name"]) for one in _tasks(flower).values()}

    until(lambda: {"enrich", "decide", "execute", "act"} <= stages(), "all four tasks in Flower")
    tasks = _tasks(flower)
    for name in ("enrich", "decide", "execute"):
        queues = {one["routing_key"] for one in tasks.values() if one["name"] == name}
        assert queues, name
        assert all(queue.startswith(f"{name}.") for queue in queues), queues
    acted = {one["routing_key"] for one in tasks.values() if one["name"] == "act"}
    assert {queue.split(".")[1] for queue in acted} >= {"hubspot", "slack"}
    shown = {path: _page(flower, path) for path in (*PAGES, *(f"/task/{uuid}" for uuid in tasks))}
    missing = [path for path, text in shown.items() if text is None]
    assert missing == []
    signal_id = str(running.ledger.signals_of([deal])[0]["signal_id"])
    assert any(signal_id in (text or "") for text in shown.values())  # The pages do show what messages hold.
    shown["the broker"] = all_text(running.ledger.broker_url)
    shown |= {log.name: log.read_text(encoding="utf-8", errors="replace") for log in running.logs.glob("*.log")}
    found = [(where, secret) for where, text in shown.items() for secret in SECRETS if text and secret in text]
    assert found == []
