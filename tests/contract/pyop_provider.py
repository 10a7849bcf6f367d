"""pyop, the OpenID provider that others put before their identity proxies, behind the five addresses it needs."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, Response, jsonify, redirect, request
from jwkest.jwk import RSAKey, import_rsa_key
from pyop.authz_state import AuthorizationState
from pyop.exceptions import InvalidAccessToken, InvalidClientAuthentication, OAuthError
from pyop.provider import Provider
from pyop.subject_identifier import HashBasedSubjectIdentifierFactory
from pyop.userinfo import Userinfo
from werkzeug.serving import make_server

CLIENT, SECRET = "revpipe", "the-secret-of-the-app"


def provider(url: str, return_to: str, person: Mapping[str, Any]) -> Provider:
    """One that knows one person and one app."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    names = ("authorization", "token", "userinfo")
    document = {
        "issuer": url.replace("http:", "https:"),
        "jwks_uri": f"{url}/jwks",
        **{f"{name}_endpoint": f"{url}/{name}" for name in names},
        "scopes_supported": ["openid", "email"],
        "response_types_supported": ["code"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }
    client = {
        "client_secret": SECRET,
        "redirect_uris": [return_to],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }
    made = Provider(
        RSAKey(key=import_rsa_key(key.decode()), alg="RS256", kid="one"),
        document,
        AuthorizationState(HashBasedSubjectIdentifierFactory("salt")),
        {CLIENT: client},
        Userinfo({"person": dict(person)}),
    )
    # It takes no issuer without TLS, which nothing on loopback needs.
    made.configuration_information["issuer"] = url
    return made


def app(known: Provider) -> Flask:
    made = Flask("pyop")

    @made.get("/.well-known/openid-configuration")
    def document() -> Response:
        return jsonify(known.provider_configuration.to_dict())

    @made.get("/jwks")
    def jwks() -> Response:
        return jsonify(known.jwks)

    @made.get("/authorization")
    def authorization() -> Any:
        asked = known.parse_authentication_request(urlencode(request.args), request.headers)
        return redirect(known.authorize(asked, "person").request(asked["redirect_uri"]))

    @made.post("/token")
    def token() -> Any:
        try:
            return jsonify(known.handle_token_request(request.get_data(as_text=True), request.headers).to_dict())
        except InvalidClientAuthentication:
            return jsonify(error="invalid_client"), 401
        except OAuthError as error:
            return jsonify(error=error.oauth_error), 400

    @made.get("/userinfo")
    def userinfo() -> Any:
        try:
            return jsonify(known.handle_userinfo_request("", request.headers).to_dict())
        except InvalidAccessToken:
            return jsonify(error="invalid_token"), 401

    return made


@contextmanager
def serving(return_to: str, **person: Any) -> Iterator[str]:
    """Its URL, while it answers."""
    server = make_server("127.0.0.1", 0, Flask("not yet"), threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    server.app = app(provider(url, return_to, person))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
