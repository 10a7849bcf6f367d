"""How the vendors sign what they send, written from their documentation and shared with no adapter."""

import base64
import hashlib
import hmac
import json
import re
from typing import Any, cast

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

# HubSpot decodes these escapes of the URI, and no others, before it signs (docs, validating requests).
_DECODED = {"3A": ":", "2F": "/", "3F": "?", "40": "@", "21": "!", "24": "$"}
_DECODED |= {"27": "'", "28": "(", "29": ")", "2A": "*", "2C": ",", "3B": ";"}


def hubspot_v1(secret: str, body: bytes) -> str:
    """The X-HubSpot-Signature of an event subscription: hex of SHA-256 over secret and body."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def hubspot_v3(secret: str, method: str, uri: str, body: bytes, timestamp_ms: int) -> str:
    """The X-HubSpot-Signature-v3: base64 of HMAC-SHA256 over method, URI, body and time."""
    head = (method.upper() + _decoded(uri)).encode()
    digest = hmac.new(secret.encode(), head + body + str(timestamp_ms).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def hubspot_headers(secret: str, uri: str, body: bytes, timestamp_ms: int) -> dict[str, str]:
    """All headers of a webhook POST as HubSpot sends them; `uri` is the one registered with HubSpot."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/) (namespace: webhooks-nio-http-client)",
        "X-HubSpot-Signature": hubspot_v1(secret, body),
        "X-HubSpot-Signature-Version": "v1",
        "X-HubSpot-Signature-v3": hubspot_v3(secret, "POST", uri, body, timestamp_ms),
        "X-HubSpot-Request-Timestamp": str(timestamp_ms),
        "X-HubSpot-Timeout-Millis": "10000",
    }


def slack_headers(secret: str, body: bytes, timestamp: int) -> dict[str, str]:
    """The headers of what Slack sends: HMAC-SHA256 over version, time and body (Slack docs, Verifying requests)."""
    base = f"v0:{timestamp}:".encode() + body
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": str(timestamp),
        "X-Slack-Signature": "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest(),
    }


def gong_jwt(private_key_pem: str, webhook_url: str, body: bytes, expires: int) -> str:
    """Gong's signed header, sent bare in Authorization (Gong help, JWT header). `expires` is in Unix seconds."""
    claims = {"webhook_url": webhook_url, "body_sha256": hashlib.sha256(body).hexdigest(), "exp": expires}
    signed = f"{_segment({'alg': 'RS256', 'typ': 'JWT'})}.{_segment(claims)}"
    key = cast(rsa.RSAPrivateKey, serialization.load_pem_private_key(private_key_pem.encode(), password=None))
    return f"{signed}.{_base64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def gong_key_pair() -> tuple[str, str]:
    """A fresh private and public key in PEM; in Gong every automation rule has a pair of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _decoded(uri: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda hit: _DECODED.get(hit[1].upper(), hit[0]), uri)


def _segment(value: Any) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
