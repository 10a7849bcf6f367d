"""Slack's request signature, version v0 (Slack docs, Verifying requests from Slack)."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from revpipe.errors import SourceNotConfigured, Unauthorised

MAX_AGE: Final = 300
"""Seconds; exactly so many are still accepted."""


def verify(secrets: Sequence[str], body: bytes, headers: Mapping[str, str], now: datetime) -> bytes:
    """The signature itself, if one of the secrets made it over these very bytes of late; header names in lower case.

    Raises Unauthorised, and SourceNotConfigured if there is no secret.
    """
    if not secrets:
        raise SourceNotConfigured("SLACK_SIGNING_SECRET is not set: buttons in Slack can't be trusted")
    stamp, told = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    # Only ASCII digits: int() would also read those of other scripts, signs and blanks.
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise Unauthorised("slack: the timestamp is missing or no number")
    if abs(now.timestamp() - int(stamp)) > MAX_AGE:
        raise Unauthorised("slack: the request is too old, or from the future")
    base = b"v0:" + stamp.encode() + b":" + body
    given = told.encode("utf-8", "surrogatepass")
    for secret in secrets:
        expected = b"v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest().encode()
        if hmac.compare_digest(expected, given):
            return given
    raise Unauthorised("slack: the signature does not hold")
