"""HubSpot's three request signatures (HubSpot docs, validating requests)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from revpipe.errors import SourceNotConfigured, Unauthorised
from revpipe.ports import InboundRequest

TOLERANCE: Final = timedelta(minutes=5)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP: Final = re.compile(r"[0-9]{1,16}")
_DECODED: Final = {
    "3A": ":",
    "2F": "/",
    "3F": "?",
    "40": "@",
    "21": "!",
    "24": "$",
    "27": "'",
    "28": "(",
    "29": ")",
    "2A": "*",
    "2C": ",",
    "3B": ";",
}
_ESCAPES: Final = re.compile("%(" + "|".join(_DECODED) + ")", re.IGNORECASE)


def v1(secret: str, body: bytes) -> str:
    """Version 1: SHA-256 of secret and body, in hex. It covers neither address nor time."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def v2(secret: str, method: str, uri: str, body: bytes) -> str:
    """Version 2: SHA-256 of secret, method, full URI and body, in hex. It does not cover the time."""
    return hashlib.sha256(secret.encode() + _bytes(method + uri) + body).hexdigest()


def v3(secret: str, method: str, uri: str, body: bytes, timestamp: str) -> str:
    """Version 3: HMAC-SHA256 over method, full URI, body and timestamp (ms, as sent), in base64."""
    message = _bytes(method + uri) + body + _bytes(timestamp)
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


def decode_listed(uri: str) -> str:
    """`uri` with only those percent-escapes decoded that HubSpot decodes before it signs with v3."""
    return _ESCAPES.sub(lambda match: _DECODED[match[1].upper()], uri)


def check(
    request: InboundRequest, secrets: Sequence[str], public_url: str | None, legacy: Collection[str] = ()
) -> None:
    """Return if `request` was signed with one of `secrets`; several are valid while they are rotated.

    `public_url` is the address that HubSpot calls, without the path; behind a proxy the request itself does
    not tell it. `legacy` names the older versions (v1, v2) that count where no v3 signature was sent.
    Raises Unauthorised, or SourceNotConfigured if a setting is missing that the check needs.
    """
    secrets = [secret for secret in secrets if secret]
    if not secrets:
        raise SourceNotConfigured("HUBSPOT_CLIENT_SECRET is not set, so no HubSpot webhook can be trusted")
    if "x-hubspot-signature-v3" in request.headers:
        # A wrong v3 is final: falling back to an older version would give its replay protection away.
        _check_v3(request, secrets, public_url)
    else:
        _check_legacy(request, secrets, public_url, legacy)


def _check_v3(request: InboundRequest, secrets: Sequence[str], public_url: str | None) -> None:
    uri = decode_listed(_uri(request, public_url))
    timestamp = request.headers.get("x-hubspot-request-timestamp", "")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Unauthorised("X-HubSpot-Request-Timestamp is missing or is not a number of milliseconds")
    if abs(request.received_at - _EPOCH - timedelta(milliseconds=int(timestamp))) > TOLERANCE:
        raise Unauthorised("X-HubSpot-Request-Timestamp is more than five minutes off")
    method = request.method.upper()
    expected = [v3(secret, method, uri, request.body, timestamp) for secret in secrets]
    _compare(request.headers["x-hubspot-signature-v3"], expected, "v3")


def _check_legacy(
    request: InboundRequest, secrets: Sequence[str], public_url: str | None, legacy: Collection[str]
) -> None:
    given = request.headers.get("x-hubspot-signature")
    version = request.headers.get("x-hubspot-signature-version")
    if given is None or version not in ("v1", "v2"):
        raise Unauthorised("the request has no HubSpot signature")
    if version not in legacy:
        raise Unauthorised(f"a {version} signature alone is not accepted; HUBSPOT_LEGACY_SIGNATURES can allow it")
    if version == "v1":
        expected = [v1(secret, request.body) for secret in secrets]
    else:
        uri = _uri(request, public_url)
        expected = [v2(secret, request.method.upper(), uri, request.body) for secret in secrets]
    _compare(given, expected, version)


def _uri(request: InboundRequest, public_url: str | None) -> str:
    if not public_url:
        raise SourceNotConfigured("PUBLIC_URL is not set, and HubSpot's signature covers that address")
    return public_url.rstrip("/") + request.target


def _compare(given: str, expected: Sequence[str], version: str) -> None:
    # Bytes, because compare_digest raises on text beyond ASCII; a list, so that every secret is tried
    # and the time taken does not tell which one matched.
    if not any([hmac.compare_digest(_bytes(given), _bytes(one)) for one in expected]):  # noqa: C419
        raise Unauthorised(f"the {version} signature does not match")


def _bytes(text: str) -> bytes:
    # A server may hand on a malformed header or path as half surrogates: that must end in a mismatch.
    return text.encode("utf-8", "surrogatepass")
