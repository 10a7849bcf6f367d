"""How fast webhooks are taken in and signals come to their end, against a bare Celery chain on the same broker.

`make bench` runs it. Ratios within one run count; absolute figures say more about the machine. Everything listens on
127.0.0.1. The events are noise: each ends as nothing due, after enrichment from the simulated CRM and all rules.
"""

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import bare_chain
import psycopg
import redis
from rich.console import Console
from rich.table import Table

from adapters.sandbox.control_client import Control
from adapters.sandbox.signing import hubspot_headers
from revpipe.embedded.client import Lease

BATCH = 100
FIRST_CONTACT = 700_000_000_001
PORTAL = 24681357
SECRET = "sandbox-secret"
START_SECONDS = 60
PHASE_SECONDS = 45.0


@dataclass(frozen=True)
class Running:
    """Where the product and its simulated vendors answer."""

    url: str
    sandbox: str


@contextmanager
def product(folder: Path) -> Iterator[Running]:
    """`revpipe up --sandbox` for the length of a `with` block."""
    command = [sys.executable, "-m", "revpipe", "up", "--sandbox", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        said = dict(line.split(" ", 1) for line in _lines(process, 3))
        yield Running(said["ready"], said["sandbox"])
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _lines(process: "subprocess.Popen[str]", count: int) -> Iterator[str]:
    for _ in range(count):
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError("revpipe up did not start")
        yield line.strip()


def plant(running: Running) -> None:
    """A hundred contacts for the events to be about."""
    contacts = [
        {"type": "contact", "id": str(FIRST_CONTACT + number), "properties": {"email": f"b{number}@bench.example"}}
        for number in range(BATCH)
    ]
    Control(running.sandbox).seed({"hubspot": {"objects": contacts}})


def post(running: Running, batches: range) -> float:
    """Post signed webhooks of a hundred events one after another; gives the webhooks accepted in a second."""
    place = urlsplit(running.url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
    start = time.monotonic()
    for number in batches:
        body = json.dumps(_events(number)).encode()
        headers = hubspot_headers(SECRET, f"{running.url}/webhooks/hubspot", body, int(time.time() * 1000))
        connection.request("POST", "/webhooks/hubspot", body, headers)
        answer = connection.getresponse()
        receipt = json.loads(answer.read())
        if answer.status != 202 or receipt["accepted"] != BATCH:
            raise RuntimeError(f"webhook {number}: {answer.status} {receipt}")
    connection.close()
    return len(batches) / (time.monotonic() - start)


def _events(batch: int) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    return [
        {
            "eventId": 1 + batch * BATCH + number,
            "subscriptionId": 2376216,
            "portalId": PORTAL,
            "appId": 1357924,
            "occurredAt": now,
            "subscriptionType": "contact.propertyChange",
            "attemptNumber": 0,
            "changeSource": "CRM_UI",
            "sourceId": "userId:11223344",
            "objectId": FIRST_CONTACT + number,
            "propertyName": "phone",
            "propertyValue": f"+49 30 {batch:04d}{number:04d}",
        }
        for number in range(BATCH)
    ]


def ended(url: str, wanted: int) -> float:
    """Wait until `wanted` signals ended as nothing due; gives the monotonic time. Raises TimeoutError."""
    deadline = time.monotonic() + PHASE_SECONDS
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        while True:
            row = connection.execute(
                "SELECT count(*) FILTER (WHERE disposition = 'nothing_due'), count(disposition) FROM signals"
            ).fetchone()
            done, closed = row or (0, 0)
            if closed != done:
                raise RuntimeError(f"{closed - done} of {closed} signals ended otherwise than as nothing due")
            if done >= wanted:
                return time.monotonic()
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {done} of {wanted} signals ended in {PHASE_SECONDS} s")
            time.sleep(0.05)


def measure(batches: int, chains: int) -> dict[str, float]:
    """One run: the product first, then the bare chain on the same Valkey while the product is idle."""
    with tempfile.TemporaryDirectory(prefix="rpbench") as folder:
        data = Path(folder) / "data"
        with product(data) as running, Lease(data) as servers:
            plant(running)
            post(running, range(1))
            ended(servers.database_url, BATCH)
            start = time.monotonic()
            accepted = post(running, range(1, batches + 1))
            signals = batches * BATCH / (ended(servers.database_url, (batches + 1) * BATCH) - start)
            with redis.Redis.from_url(servers.redis_url) as client:
                connections = len(client.client_list()) - 1
            bare = bare_rate(servers, chains)
    return {
        "webhooks_accepted_per_s": round(accepted, 1),
        "signals_per_s": round(signals, 1),
        "bare_chain_per_s": round(bare, 1),
        "ratio": round(signals / bare, 2),
        "redis_connections": connections,
    }


def bare_rate(servers: Lease, chains: int) -> float:
    """The bare chain in a database of its own of the same server."""
    client = redis.Redis.from_url(servers.redis_url.replace("db=0", "db=1"))
    url = servers.broker_url.replace("virtual_host=0", "virtual_host=1")
    try:
        with bare_chain.worker(url):
            return bare_chain.rate(url, client, chains, PHASE_SECONDS)
    finally:
        client.close()


def main() -> None:
    """Print the table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=40, help="webhooks of 100 events each")
    parser.add_argument("--chains", type=int, default=2000, help="bare chains to compare with")
    options = parser.parse_args()
    result = measure(options.batches, options.chains)
    table = Table(title=f"{options.batches} webhooks of {BATCH} events, {options.chains} bare chains")
    table.add_column("measured")
    table.add_column("value", justify="right")
    for name, value in result.items():
        table.add_row(name.replace("_per_s", "/s").replace("_", " "), str(value))
    Console().print(table)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
