"""The smallest HTTP client: one request on one connection, no proxy, no redirect, no retry."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's JSON value. Raises ValueError."""
        return json.loads(self.body)


def send(
    method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout: float = 10.0
) -> Answer:
    """Make one request; `timeout` is in seconds. Raises OSError or HTTPException when no answer came."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        connection.close()


def send_json(method: str, url: str, value: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Make one request whose body is a JSON value, or empty for None."""
    body = b"" if value is None else json.dumps(value).encode()
    return send(method, url, body, {"Content-Type": "application/json", **(headers or {})})
