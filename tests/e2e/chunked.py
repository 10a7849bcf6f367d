"""A request without Content-Length, as some proxies send it."""

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit


def post_chunked(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post a body in chunks; gives the status of the answer, which may come before all was sent."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        # A server that refuses early stops reading; what it said has arrived all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", parts.path, _pieces(body), dict(headers), encode_chunked=True)
        return connection.getresponse().status
    finally:
        connection.close()


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65_536):
        yield body[start : start + 65_536]
