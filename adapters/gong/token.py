"""The signed token that Gong sends with a webhook: RS256 over the destination URL and the body's hash.

Source: Gong help, "Prepare your receiving application to receive a webhook - JWT header".
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
from jwt.types import Options

from revpipe.errors import Misconfigured, Unauthorised
from revpipe.ports import InboundRequest

CLAIMS: Final = ("exp", "webhook_url", "body_sha256")
SMALLEST_KEY: Final = 2048
LONGEST_TOKEN: Final = 8192
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_PEM: Final = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)
_PORTS: Final = {"http": 80, "https": 443}


def read_keys(value: str) -> tuple[RSAPublicKey, ...]:
    """The public keys in GONG_WEBHOOK_PUBLIC_KEY: PEM blocks, or what Gong shows, base64 DER without PEM lines.

    Gong issues one key for each automation rule, so several may be given, comma-separated. A PEM may have
    lost its line breaks to spaces or to a literal backslash and n. Raises Misconfigured.
    """
    whole = value.replace("\\r", "").replace("\\n", "\n").strip().strip("\"'")
    blocks = [(match[1], match[2]) for match in _PEM.finditer(whole)]
    bare = [("", part) for part in _PEM.sub(",", whole).split(",") if part.strip()]
    keys = tuple(_read_key(label, content) for label, content in (*blocks, *bare))
    if not keys:
        raise _wrong("it holds no key")
    return keys


def check(request: InboundRequest, keys: Sequence[RSAPublicKey], public_url: str) -> None:
    """Raise Unauthorised unless the request's token holds for one of `keys`, its body, its URL and its time."""
    claims = _claims(_bare(request.headers.get("authorization")), keys)
    expires = claims["exp"]
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise Unauthorised("the token's exp is not a number")
    if not expires > request.received_at.timestamp():
        raise Unauthorised("the token has expired")
    if not _same_text(claims["body_sha256"], hashlib.sha256(request.body).hexdigest()):
        raise Unauthorised("the token is for another body")
    if not same_url(claims["webhook_url"], public_url, request.target):
        raise Unauthorised("the token is for another URL; PUBLIC_URL must be what the rule in Gong names")


def same_url(claimed: Any, public_url: str, target: str) -> bool:
    """Whether the URL in the token is where the request came in, as the public sees it.

    Scheme, host, port and path must agree, but for a slash at the end. It is not documented whether Gong puts
    the query into the claim, so the query must agree only if the claim has one.
    """
    if not isinstance(claimed, str) or not target.startswith("/"):
        return False
    path, _, query = target.partition("?")
    try:
        claim, ours = urlsplit(claimed), urlsplit(public_url)
        if "@" in claim.netloc or _origin(claim) != _origin(ours):
            return False
        pairs = sorted(parse_qsl(claim.query, keep_blank_values=True))
        if pairs and pairs != sorted(parse_qsl(query, keep_blank_values=True)):
            return False
    except ValueError:
        return False
    return claim.path.removesuffix("/") == (ours.path.rstrip("/") + path).removesuffix("/")


def _read_key(label: str, content: str) -> RSAPublicKey:
    try:
        der = base64.b64decode("".join(content.split()), validate=True)
        if label:
            armoured = base64.encodebytes(der).decode()
            pem = f"-----BEGIN {label}-----\n{armoured}-----END {label}-----\n"
            key = load_pem_public_key(pem.encode())
        else:
            key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # Not the error's own text: it may quote what was pasted here by mistake.
        raise _wrong("it can't be read as a public key") from error
    if not isinstance(key, RSAPublicKey):
        raise _wrong("it is not an RSA key")
    if key.key_size < SMALLEST_KEY:
        raise _wrong(f"it has {key.key_size} bits, fewer than {SMALLEST_KEY}")
    return key


def _wrong(fault: str) -> Misconfigured:
    return Misconfigured(
        f"GONG_WEBHOOK_PUBLIC_KEY is wrong: {fault}. Paste what Gong shows at Admin center > Automation rules > "
        "your rule > Show public key, as it is or as a PEM."
    )


def _bare(header: str | None) -> str:
    if not header:
        raise Unauthorised("there is no Authorization header")
    token = re.sub(r"(?i)\A\s*bearer\s+", "", header).strip()
    if len(token) > LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        raise Unauthorised("the Authorization header holds no token")
    return token


def _claims(token: str, keys: Sequence[RSAPublicKey]) -> dict[str, Any]:
    failure: Exception | None = None
    for key in keys:
        try:
            return _decode(token, key)
        except (jwt.PyJWTError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            failure = error
    raise Unauthorised(f"the token does not hold: {type(failure).__name__}") from failure


def _decode(token: str, key: RSAPublicKey) -> dict[str, Any]:
    # PyJWT would judge times by this machine's clock, not by when the request came in; the claims that Gong
    # does not document (aud, iat, sub …) must not make us refuse its webhooks should they appear one day.
    options: Options = {
        "require": list(CLAIMS),
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_iss": False,
        "verify_sub": False,
        "verify_jti": False,
    }
    return jwt.decode(token, key, algorithms=["RS256"], options=options)


def _same_text(claimed: Any, expected: str) -> bool:
    if not isinstance(claimed, str):
        return False
    return hmac.compare_digest(claimed.lower().encode("utf-8", "replace"), expected.encode())


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    port = _PORTS.get(url.scheme) if url.port is None else url.port
    return url.scheme, url.hostname, port
