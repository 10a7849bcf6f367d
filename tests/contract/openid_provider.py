"""An OpenID provider on loopback that tells the truth until it is told to lie. It shares no line with the adapter."""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

CLIENT, SECRET = "revpipe", "the-secret-of-the-app"


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@dataclass
class Provider:
    """Its knobs: `claims` are laid over the ID token's, `header` over its header; the rest says itself."""

    url: str = ""
    kid: str = "k1"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    signs_with: rsa.RSAPrivateKey | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    unsigned: bool = False
    down: str | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": "4711",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "ann@revpipe.example",
            "email_verified": True,
            **self.claims,
        }
        header = {"alg": "RS256", "kid": self.kid, **self.header}
        kept = {name: value for name, value in claims.items() if value is not None}
        text = ".".join(b64(json.dumps(part).encode()) for part in (header, kept))
        if self.unsigned:
            return text + "."
        signature = (self.signs_with or self.key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{b64(signature)}"

    def jwks(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        public = {"kty": "RSA", "kid": self.kid, "use": "sig", "n": _number(numbers.n), "e": _number(numbers.e)}
        return {"keys": [public]}


def app(provider: Provider) -> Flask:
    made = Flask("an OpenID provider")

    @made.before_request
    def note() -> Response | None:
        provider.asked.append(request.path)
        return Response("down", 503) if provider.down == request.path else None

    @made.get("/.well-known/openid-configuration")
    def document() -> Response:
        names = ("authorization", "token", "userinfo")
        endpoints = {f"{name}_endpoint": f"{provider.url}/{name}" for name in names}
        return jsonify({"issuer": provider.url, "jwks_uri": f"{provider.url}/jwks", **endpoints, **provider.document})

    @made.get("/jwks")
    def jwks() -> Response:
        return jsonify(provider.jwks())

    @made.get("/authorization")
    def authorization() -> Any:
        code = secrets.token_urlsafe(8)
        provider.codes[code] = request.args.to_dict()
        query = {"code": code, "state": request.args["state"], **provider.answers}
        return redirect(f"{request.args['redirect_uri']}?{urlencode(query)}")

    @made.post("/token")
    def token() -> Any:
        begun = provider.codes.pop(request.form.get("code", ""), None)
        login = request.authorization
        if not login or (login.username, login.password) != (CLIENT, SECRET):
            return jsonify(error="invalid_client"), 401
        verifier = request.form.get("code_verifier", "")
        if (
            begun is None
            or begun["redirect_uri"] != request.form.get("redirect_uri")
            or b64(hashlib.sha256(verifier.encode()).digest()) != begun["code_challenge"]
        ):
            return jsonify(error="invalid_grant"), 400
        return jsonify(access_token="at-1", token_type="Bearer", id_token=provider.id_token(begun["nonce"]))

    @made.get("/userinfo")
    def userinfo() -> Response:
        known = request.headers.get("Authorization") == "Bearer at-1"
        return jsonify(provider.userinfo) if known else Response("", 401)

    return made


@contextmanager
def serving(provider: Provider) -> Iterator[Provider]:
    """The provider, answering at its `url`."""
    server = make_server("127.0.0.1", 0, app(provider), threaded=True)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
