"""HubSpot's v3 signature, checked as a careful team would write it by hand (HubSpot docs, validating requests)."""

import base64
import hashlib
import hmac
import time

MAX_AGE_MS = 300_000


def holds(secret: str, url: str, body: bytes, timestamp: str, signature: str) -> bool:
    """Whether HubSpot signed this POST within the last five minutes."""
    if not timestamp.isdecimal() or abs(time.time() * 1000 - int(timestamp)) > MAX_AGE_MS:
        return False
    digest = hmac.digest(secret.encode(), b"POST" + url.encode() + body + timestamp.encode(), hashlib.sha256)
    return hmac.compare_digest(base64.b64encode(digest), signature.encode())
