"""Sign-in by OpenID Connect: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0, 3.1; RFC 7636)."""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

from adapters.oidc.claims import Claims, read
from adapters.oidc.metadata import TIMEOUT, Metadata
from revpipe.errors import Misconfigured, Transient, Unauthorised
from revpipe.identity import Departure, Vouched

SCOPE: Final = "openid email"
BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"


def build(settings: Any) -> "OidcProvider":
    """The provider that OIDC_ISSUER names. Raises Misconfigured if the rest is missing."""
    if not settings.oidc_client_id or not settings.oidc_client_secret:
        raise Misconfigured("OIDC_ISSUER is set; it needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET, see docs/access.md")
    return OidcProvider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)


class OidcProvider:
    """One OpenID provider. Safe to share between threads."""

    name = "oidc"

    def __init__(self, issuer: str, client_id: str, client_secret: str) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._metadata = Metadata(issuer)

    def depart(self, return_to: str) -> Departure:
        """Begin a sign-in; what is kept are the state, the nonce and the verifier."""
        where = self._metadata.get()
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        with self._client(where, return_to) as client:
            url, _ = client.create_authorization_url(
                where["authorization_endpoint"],
                state=kept["state"],
                nonce=kept["nonce"],
                code_verifier=kept["verifier"],
            )
        return Departure(str(url), kept)

    def arrive(self, return_to: str, answer: Mapping[str, str], kept: Mapping[str, str]) -> Vouched:
        """Complete it: the state first, then the code for a token, then every claim of that."""
        where = self._metadata.get()
        if not hmac.compare_digest(answer.get("state", "").encode(), kept["state"].encode()):
            raise Unauthorised("the state is not the one that was sent")
        # RFC 9207: a provider that names itself must be the one that was asked, or answers could be mixed up.
        if answer.get("iss", self._metadata.issuer) != self._metadata.issuer:
            raise Unauthorised("another issuer answered")
        if "code" not in answer:
            raise Unauthorised(f"the provider says {answer.get('error', 'nothing')[:60]}")
        token = self._token(where, return_to, answer["code"], kept["verifier"])
        claims = read(token, self._metadata, self._client_id, kept["nonce"])
        return self._vouched(where, token, claims)

    def _token(self, where: Mapping[str, Any], return_to: str, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            with self._client(where, return_to) as client:
                found: Mapping[str, Any] = client.fetch_token(
                    where["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    timeout=TIMEOUT,
                    allow_redirects=False,
                )
        except AuthlibBaseError as error:
            raise Unauthorised(f"the code does not hold: {error.error}") from error
        except requests.HTTPError as error:
            raise Transient("the provider's token endpoint is in trouble") from error
        except (requests.RequestException, ValueError) as error:
            raise Transient(f"the provider does not answer: {type(error).__name__}") from error
        return found

    def _vouched(self, where: Mapping[str, Any], token: Mapping[str, Any], claims: Claims) -> Vouched:
        """From the token itself, else from the endpoint that providers have for it."""
        told: Mapping[str, Any] = claims
        if "email" not in claims and "userinfo_endpoint" in where:
            told = self._metadata.ask(where["userinfo_endpoint"], bearer=str(token["access_token"]))
            # Core 1.0, 5.3.2: it may only be believed of the one that the token is about.
            if told.get("sub") != claims["sub"]:
                raise Unauthorised("the provider tells of somebody else")
        email = told.get("email")
        if not isinstance(email, str) or not email:
            raise Unauthorised("the provider names no e-mail address")
        return Vouched(email, _is_true(told.get("email_verified")))

    def _client(self, where: Mapping[str, Any], return_to: str) -> Any:
        methods = where.get("token_endpoint_auth_methods_supported") or [BASIC]
        client = OAuth2Session(
            self._client_id,
            self._client_secret,
            token_endpoint_auth_method=BASIC if BASIC in methods else POST,
            scope=SCOPE,
            redirect_uri=return_to,
            code_challenge_method="S256",
        )
        client.trust_env = False
        return client


def _is_true(value: object) -> bool:
    """Some providers write it as text."""
    return value is True or value == "true"
