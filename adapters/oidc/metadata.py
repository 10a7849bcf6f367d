"""What a provider tells of itself: its endpoints and keys (OpenID Connect Discovery 1.0)."""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from revpipe.errors import Misconfigured, Transient

TIMEOUT: Final = (3.05, 5.0)
FRESH: Final = 3600.0
"""Seconds for which it is believed."""
AGAIN: Final = 60.0
"""Seconds between two looks for keys that are not known: a forged token shall not make us a nuisance."""
LONGEST: Final = 1_000_000
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_NEEDED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Metadata:
    """The endpoints and keys of one issuer, kept for an hour."""

    def __init__(self, issuer: str) -> None:
        """Raises Misconfigured for an issuer that is not reached by https, unless it runs on this machine."""
        parts = urlsplit(issuer)
        if parts.scheme != "https" and parts.hostname not in _LOCAL:
            raise Misconfigured("OIDC_ISSUER must be an https:// URL")
        self.issuer = issuer
        self._lock = Lock()
        self._document: Mapping[str, Any] = {}
        self._document_at = 0.0
        self._keys: Mapping[str, Any] = {}
        self._keys_at = 0.0

    def get(self) -> Mapping[str, Any]:
        """The endpoints. Raises Transient when they can't be had."""
        with self._lock:
            if not self._document or time.monotonic() - self._document_at > FRESH:
                self._document = self._discovered()
                self._document_at = time.monotonic()
            return self._document

    def keys(self, *, anew: bool = False) -> Mapping[str, Any]:
        """The keys that sign its tokens; `anew` when one is missing among them. Raises Transient."""
        uri = self.get()["jwks_uri"]
        with self._lock:
            age = time.monotonic() - self._keys_at
            if not self._keys or age > FRESH or (anew and age > AGAIN):
                self._keys = self.ask(uri)
                self._keys_at = time.monotonic()
            return self._keys

    def ask(self, url: str, bearer: str | None = None) -> Mapping[str, Any]:
        """A JSON object from one of its addresses. Raises Transient for everything else."""
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(url, headers=headers, timeout=TIMEOUT, allow_redirects=False)
            found = answer.json() if answer.ok and len(answer.content) <= LONGEST else None
        except (requests.RequestException, ValueError) as error:
            raise Transient(f"the provider does not answer: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise Transient(f"the provider answers {answer.status_code}, and no JSON object")
        return found

    def _discovered(self) -> Mapping[str, Any]:
        found = self.ask(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        # Discovery 1.0, 4.3: it must be the very same, or one provider could pass for another.
        if str(found.get("issuer", "")).rstrip("/") != self.issuer.rstrip("/"):
            raise Transient("the provider tells of another issuer than OIDC_ISSUER")
        if not all(isinstance(found.get(name), str) for name in _NEEDED):
            raise Transient(f"the provider must tell {', '.join(_NEEDED)}")
        self.issuer = str(found["issuer"])
        return found
