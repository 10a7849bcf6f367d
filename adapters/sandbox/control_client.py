"""The control API from the outside: for tests, the demo and benchmarks in any process."""

from typing import Any

from adapters.sandbox import wire

Json = dict[str, Any]


class SandboxRefused(Exception):
    """The control API answered other than 2xx; the text is its answer."""


class Control:
    """Talks to a running sandbox at `url`. Every method raises SandboxRefused, or OSError if nobody answers."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call below /_sandbox/."""
        answer = wire.send_json(method, f"{self.url}/_sandbox/{path}", body)
        if not 200 <= answer.status < 300:
            raise SandboxRefused(f"{method} {path}: {answer.status} {answer.body.decode('utf-8', 'replace')[:500]}")
        value: Json = answer.json()
        return value

    def seed(self, records: Json) -> Json:
        """Put records where they have always been; see control.plant."""
        return self.call("POST", "seed", records)

    def knobs(self, **by_vendor: Json) -> None:
        """Set knobs: knobs(hubspot={"search_lag": 0})."""
        self.call("POST", "knobs", by_vendor)

    def fault(self, vendor: str, kind: str, **more: Any) -> None:
        """Set a fault; see faults.Fault."""
        self.call("POST", "faults", {"vendor": vendor, "kind": kind, **more})

    def heal(self) -> None:
        """Take all faults away."""
        self.call("DELETE", "faults")

    def reset(self) -> None:
        """Everything as new."""
        self.call("POST", "reset")

    def effects(self, vendor: str | None = None) -> list[Json]:
        """What was done, oldest first, repeats included."""
        found: list[Json] = self.call("GET", "effects" + (f"?vendor={vendor}" if vendor else ""))["effects"]
        return found

    def duplicates(self, vendor: str | None = None) -> list[Json]:
        """What was done more than once."""
        found: list[Json] = self.call("GET", "effects" + (f"?vendor={vendor}" if vendor else ""))["duplicates"]
        return found

    def edit(self, kind: str, id: str, values: Json, **more: Any) -> list[Json]:
        """A person's change at HubSpot's own page (`occurredAt`, `userId`, `send`); gives the webhook events."""
        body = {"properties": values, **more}
        events: list[Json] = self.call("PATCH", f"hubspot/objects/{kind}/{id}", body)["events"]
        return events
