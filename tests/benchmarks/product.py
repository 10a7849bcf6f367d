"""The product as in production: web under gunicorn, the workers and the keeper of `revpipe up`."""

import http.client
import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

from revpipe import migrate
from revpipe.db import make_engine
from revpipe.drill.fleet import environment
from revpipe.local import formation
from revpipe.local.sockets import free_port
from tests.benchmarks import system
from tests.benchmarks.crm_deals import URGENT
from tests.benchmarks.ground import Ground
from tests.benchmarks.processes import BenchError, Group, group
from tests.benchmarks.vendor import Vendor
from tests.benchmarks.webhooks import IMPORT_TOKEN, PORTAL, SECRET, Traffic

WEB_PROCESSES: Final = "2"
"""What `revpipe web` starts unless told otherwise, and what the peers have."""
CALLS_PER_10S: Final = "100000"
"""The simulated account's limit: what is measured is the product, not HubSpot's patience."""


CLOCKS: Final = timedelta(seconds=0.25)
"""Signals are dated by the ledger's clock as a busy web process knows it, runs by the sender's."""
_OPEN: Final = "FROM signals WHERE state <> 'done' AND right(coalesce(deal_id, '-'), 1) <> %s"


@dataclass(slots=True)
class Product:
    """The product with its ledger."""

    url: str
    processes: Group
    database: str
    name: str = "revpipe"
    _connection: "psycopg.Connection[Any] | None" = field(default=None)
    _counted: datetime = datetime.fromtimestamp(0, UTC)
    """When the last signal came in of those whose end has been told."""

    @property
    def webhooks(self) -> str:
        """Where HubSpot's webhooks go."""
        return f"{self.url}/webhooks/hubspot"

    @property
    def imports(self) -> str:
        """Where intent files go."""
        return f"{self.url}/imports/bombora"

    def ended(self, traffic: Traffic, began: float, vendor: Vendor) -> float | None:
        """The ledger's own time of the last signal's end, or the last effect's if that is later.

        Raises BenchError if signals ended otherwise than they should.
        """
        if self.any_open():
            return None
        found = self.rows(
            "SELECT disposition, count(*), extract(epoch FROM max(done_at)), max(received_at) FROM signals"
            " WHERE received_at > %s GROUP BY disposition",
            max(self._counted, datetime.fromtimestamp(began, UTC) - CLOCKS),
        )
        counts = {row[0]: row[1] for row in found}
        wanted = {"acted": traffic.effects, "nothing_due": traffic.signals - traffic.effects}
        if sum(counts.values()) < traffic.signals:
            return None
        if traffic.deals:
            # Several signals of one deal: some end with another one that is decided for them.
            counts["nothing_due"] = counts.get("nothing_due", 0) + counts.pop("coalesced", 0)
        if counts != {name: count for name, count in wanted.items() if count}:
            raise BenchError(f"signals ended as {counts}, not as {wanted}")
        self._counted = max(row[3] for row in found)
        return max(float(max(row[2] for row in found)), float(vendor.stats()["last_effect"]))

    def open_signals(self) -> int:
        """How many signals have not ended, without those of urgent deals: these wait for a person, who never comes."""
        return int(self.rows(f"SELECT count(*) {_OPEN}", str(URGENT))[0][0])

    def any_open(self) -> bool:
        """Whether there is one such: unlike their number this costs next to nothing while many wait."""
        return bool(self.rows(f"SELECT EXISTS (SELECT 1 {_OPEN})", str(URGENT))[0][0])

    def signals(self) -> int:
        """How many signals the ledger holds."""
        return int(self.rows("SELECT count(*) FROM signals")[0][0])

    def held_up(self) -> list[str]:
        """What signals or actions have been put off or sent again for, in the trail's words; empty if for nothing."""
        found = self.rows(
            "SELECT DISTINCT concat_ws(' ', what, detail ->> 'error', detail ->> 'where', detail ->> 'cause')"
            " FROM trail WHERE what IN ('parked', 'retry', 'retrying', 'retried', 'buried', 'waits', 'swept')"
        )
        return sorted(row[0] for row in found)

    def rows(self, question: str, *values: Any) -> list[Any]:
        """The ledger's answer to a question in SQL."""
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self.database, autocommit=True)
        return self._connection.execute(question.encode(), values).fetchall()

    def takes_files(self) -> bool:
        """Whether there is a route for intent files."""
        port = int(self.url.rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/imports/bombora")
            return connection.getresponse().status != 404
        finally:
            connection.close()

    def close(self) -> None:
        """End the connection to the ledger."""
        if self._connection is not None:
            self._connection.close()


@contextmanager
def running(ground: Ground, vendor: Vendor, *, without: Collection[str] = ()) -> Iterator[Product]:
    """The product, up and answering, for the length of a block. Raises BenchError if it does not start.

    `without` names processes of the formation that are left out, for a run that measures nothing.
    """
    url = f"http://127.0.0.1:{free_port()}"
    engine = make_engine(ground.lease.database_url, pool_size=1)
    migrate.upgrade(engine)
    engine.dispose()
    with group(ground.folder / "product") as processes:
        product = Product(url, processes, ground.postgres)
        try:
            _start(product, environment(_settings(ground, vendor, url)), without)
            yield product
        finally:
            with suppress(psycopg.Error):
                product.close()


def _settings(ground: Ground, vendor: Vendor, url: str) -> dict[str, str]:
    return {
        **vendor.settings,
        "DATABASE_URL": ground.lease.database_url,
        "REDIS_URL": ground.lease.redis_url,
        "REVPIPE_DATA_DIR": str(ground.folder / "data"),
        "PUBLIC_URL": url,
        "HUBSPOT_CLIENT_SECRET": SECRET,
        "HUBSPOT_PORTAL_ID": str(PORTAL),
        "HUBSPOT_APP_ID": "1357924",
        "HUBSPOT_CALLS_PER_10S": CALLS_PER_10S,
        "IMPORT_TOKENS": IMPORT_TOKEN,
    }


def _start(product: Product, settings: dict[str, str], without: Collection[str]) -> None:
    port = int(product.url.rsplit(":", 1)[1])
    for name, words in formation._commands(port, None):
        command = tuple(words)
        if name in without:
            continue
        if name == "web":
            command = ("revpipe", "web", "--port", str(port), "--processes", WEB_PROCESSES)
        product.processes.add(name, command, settings)
    for child in product.processes.children:
        if child.name.startswith("worker"):
            product.processes.await_words(child, b"worker_ready")
    system.wait_ready(product.processes, product.webhooks)
    deadline = time.monotonic() + 60
    while _ready(port) != "ok":
        product.processes.check()
        if time.monotonic() > deadline:
            raise BenchError("the keeper does not show at /readyz")
        time.sleep(0.1)


def _ready(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return str(json.loads(connection.getresponse().read()).get("keeper"))
    except (OSError, ValueError):
        return ""
    finally:
        connection.close()
