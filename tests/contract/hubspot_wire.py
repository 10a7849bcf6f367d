"""What the HubSpot contract tests share: a scripted server over real HTTP, settings, a gate, and makers."""

import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from revpipe.ports import Order
from revpipe.signals import Signal, stable_id

CREATED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Settings:
    hubspot_base_url: str
    hubspot_access_token: str | None = "sandbox-token"
    hubspot_portal_id: str | None = None


@dataclass
class OpenGate:
    """Lets every call pass and remembers how each ended."""

    calls: int = 0
    ends: list[Any] = field(default_factory=list)

    def spend(self, vendor, kind):
        self.calls += 1

    def report(self, vendor, kind, error):
        self.ends.append(error)


class ScriptedServer:
    """Answers with what `script` holds, in order; an answer is (status, JSON value or bytes, headers)."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def bodies(self, path_end):
        return [body for _, path, body in self.asked if path.partition("?")[0].endswith(path_end)]


def _handler(scripted):
    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            scripted.asked.append((self.command, self.path, json.loads(raw) if raw else None))
            status, value, *headers = scripted.script.pop(0)
            if status is None:
                self.close_connection = True
                return
            told = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            for name, text in (headers[0] if headers else {}).items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815

        def log_message(self, *_):
            pass

    return Handler


def signal(event="deal.stage_changed", *, fired_at=None, name="a signal", payload=None, **subject):
    fired_at = fired_at or datetime.now(UTC).replace(microsecond=0)
    return Signal(
        signal_id=stable_id("test", name),
        signal_type="crm_event",
        event=event,
        source="hubspot",
        payload=payload or {},
        urgency="standard",
        confidence=1.0,
        fired_at=fired_at,
        received_at=fired_at,
        delivery_id=uuid.uuid4(),
        correlation_id=uuid.uuid4(),
        **subject,
    )


def order(
    type="create_task",
    params=None,
    *,
    number=1,
    deal_id=None,
    account_id=None,
    contact_id=None,
    first_tried_at=None,
    tried_at=None,
):
    return Order(
        action_id=stable_id("order", number),
        type=type,
        params={"subject": f"Task {number}"} if params is None else params,
        correlation_id=uuid.uuid4(),
        deal_id=deal_id,
        account_id=account_id,
        contact_id=contact_id,
        attempt=1,
        created_at=CREATED,
        first_tried_at=first_tried_at,
        tried_at=tried_at,
    )
