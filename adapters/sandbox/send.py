"""`python -m adapters.sandbox.send`: sends webhooks as the vendors do, and goes on until each is taken.

Reads one JSON object a line: {"n", "changes": [[method, path, body], …], "call", "hold", "repeats"}. The changes are
made at the sandbox at once and their events sent in one delivery after `hold` seconds, with `repeats` further ones
beside it; `call` is a Gong webhook instead. Prints, a line each, {"sent": [event, …]} when a delivery is first tried
and {"taken": [event, …], "tries": N} when it was answered 2xx; an event is named by its id, its object and its time.
The URLs and keys come from the environment, as for `play`.
"""

import contextlib
import http.client
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from adapters.sandbox import signing, wire
from adapters.sandbox.control_client import Control

Json = dict[str, Any]
DELAYS = (0.3, 0.5, 1.0, 2.0)
"""Waits between tries, in seconds, the last one again and again: a vendor's day in short."""
TIMEOUT = 10.0
VALID = 600
SENDERS = 12


class Sender:
    """Posts deliveries to `target`, signed for it."""

    def __init__(self, sandbox: str, target: str, hubspot_secret: str, gong_key: str) -> None:
        self._control = Control(sandbox)
        self._target = target.rstrip("/")
        self._secret = hubspot_secret
        self._key = gong_key
        self._printing = threading.Lock()

    def step(self, described: Json, pool: ThreadPoolExecutor) -> None:
        """Make the changes of one step, and let its deliveries be sent."""
        if described.get("call"):
            vendor, body = "gong", described["call"]
        else:
            vendor, body = "hubspot", self._events(described["changes"])
        hold = float(described.get("hold") or 0.0)
        self._tell({"sent": names(vendor, body)})
        for number in range(1 + int(described.get("repeats") or 0)):
            pool.submit(self._deliver, vendor, body, hold + 0.2 * number)

    def _events(self, changes: list[tuple[str, str, Json]]) -> list[Json]:
        made: list[Json] = []
        for method, path, body in changes:
            made += self._control.call(method, path, body)["events"]
        # HubSpot promises no order within a delivery.
        return sorted(made, key=lambda event: int(event["eventId"]))

    def _deliver(self, vendor: str, body: Any, hold: float) -> None:
        time.sleep(hold)
        tries = 0
        while True:
            tries += 1
            status = self._post(vendor, _as_try(vendor, body, tries))
            if status is not None and 200 <= status < 300:
                self._tell({"taken": names(vendor, body), "tries": tries})
                return
            time.sleep(DELAYS[min(tries, len(DELAYS)) - 1])

    def _post(self, vendor: str, body: Any) -> int | None:
        """The status of one try, None if no answer came."""
        raw, url = json.dumps(body, separators=(",", ":")).encode(), f"{self._target}/webhooks/{vendor}"
        if vendor == "hubspot":
            headers = signing.hubspot_headers(self._secret, url, raw, int(time.time() * 1000))
        else:
            token = signing.gong_jwt(self._key, url, raw, int(time.time()) + VALID)
            headers = {"Content-Type": "application/json", "Authorization": token}
        with contextlib.suppress(OSError, http.client.HTTPException):
            return wire.send("POST", url, raw, headers, TIMEOUT).status
        return None

    def _tell(self, value: Json) -> None:
        with self._printing:
            sys.stdout.write(json.dumps(value) + "\n")
            sys.stdout.flush()


def names(vendor: str, body: Any) -> list[str]:
    """How the events of a delivery are called: what identifies them at the vendor."""
    if vendor == "gong":
        call = body["callData"]
        deals = [one["objectId"] for part in call["context"] for one in part["objects"]]
        return [f"gong:{call['metaData']['id']}:{deal}" for deal in deals]
    return [f"hubspot:{one['eventId']}:{one['objectId']}:{one['occurredAt']}" for one in body]


def _as_try(vendor: str, body: Any, tries: int) -> Any:
    return [one | {"attemptNumber": tries - 1} for one in body] if vendor == "hubspot" else body


def main() -> None:
    """Send until the input ends, then until all is taken."""
    sender = Sender(
        os.environ["SANDBOX_URL"],
        os.environ["REVPIPE_URL"],
        os.environ["HUBSPOT_CLIENT_SECRET"],
        os.environ["GONG_PRIVATE_KEY"],
    )
    with ThreadPoolExecutor(SENDERS) as pool:
        for line in sys.stdin:
            sender.step(json.loads(line), pool)


if __name__ == "__main__":
    main()
