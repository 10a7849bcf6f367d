"""What an ID token says, once everything about it has been checked (OpenID Connect Core 1.0, 3.1.3.7)."""

from collections.abc import Mapping
from typing import Any, Final

from authlib.common.errors import AuthlibBaseError
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from adapters.oidc.metadata import Metadata
from revpipe.errors import Unauthorised

Claims = Mapping[str, Any]
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""By keys of the provider only. With `none` or a shared secret whoever knows the secret could vouch for anybody."""
LEEWAY: Final = 60
"""Seconds by which the provider's clock may differ."""


def read(token: Mapping[str, Any], metadata: Metadata, client_id: str, nonce: str) -> Claims:
    """The claims of the ID token that came with an access token. Raises Unauthorised for any that does not hold."""
    try:
        decoded = _decoded(str(token.get("id_token", "")), metadata)
        options = {
            "iss": {"essential": True, "values": [metadata.issuer]},
            "aud": {"essential": True, "value": client_id},
            "nonce": {"essential": True, "value": nonce},
        }
        known = {"nonce": nonce, "client_id": client_id, "access_token": token.get("access_token")}
        claims = CodeIDToken(decoded.claims, decoded.header, options, known)
        claims.validate(leeway=LEEWAY)
    except (JoseError, AuthlibBaseError, ValueError, TypeError, KeyError) as error:
        raise Unauthorised(f"the ID token does not hold: {type(error).__name__}") from error
    if decoded.claims.get("nonce") != nonce:
        raise Unauthorised("the ID token answers another request")
    return dict(decoded.claims)


def _decoded(id_token: str, metadata: Metadata) -> jwt.Token:
    algorithms = list(ALGORITHMS)
    try:
        return jwt.decode(id_token, KeySet.import_key_set(_keys(metadata)), algorithms=algorithms)
    except InvalidKeyIdError:
        # They rotate their keys.
        return jwt.decode(id_token, KeySet.import_key_set(_keys(metadata, anew=True)), algorithms=algorithms)


def _keys(metadata: Metadata, *, anew: bool = False) -> Any:
    return metadata.keys(anew=anew)
