"""The JWT check: published shapes, forgeries, key forms, URLs, and headers that nobody should send."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.gong import token
from revpipe.errors import Misconfigured, Unauthorised
from revpipe.ports import InboundRequest

VECTORS = json.loads((Path(__file__).parents[1] / "contract/vectors/gong_jwt.json").read_text())
NOW = datetime(2026, 5, 4, 17, 0, tzinfo=UTC)
PUBLIC_URL = "https://revpipe.example.com"
TARGET = "/webhooks/gong"
BODY = b'{"callData": {"metaData": {"id": "1"}}}'


def request(authorization, *, body=BODY, target=TARGET, now=NOW):
    headers = {} if authorization is None else {"authorization": authorization}
    return InboundRequest("POST", target, headers, body, now)


@pytest.fixture(scope="module")
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def other_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims(**changes):
    made = {
        "exp": int(NOW.timestamp()) + 60,
        "webhook_url": PUBLIC_URL + TARGET,
        "body_sha256": hashlib.sha256(BODY).hexdigest(),
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


@pytest.fixture
def check(private_key):
    def run(made, **changes):
        # Not jwt.encode, which would refuse to make some of the tokens that must be refused.
        signed = jwt.PyJWS().encode(json.dumps(made).encode(), private_key, algorithm="RS256")
        token.check(request(signed, **changes), (private_key.public_key(),), PUBLIC_URL)

    return run


@pytest.mark.parametrize("form", ["public_key_pem", "public_key_bare_base64"])
@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_vectors(case, form):
    keys = token.read_keys(VECTORS[form])
    asked = request(case["authorization"], body=case["body"].encode(), target="/webhooks/gong/k3y")
    if case["accept"]:
        token.check(asked, keys, PUBLIC_URL)
    else:
        with pytest.raises(Unauthorised):
            token.check(asked, keys, PUBLIC_URL)


def test_time_is_when_the_request_came_in(check):
    expires = int(NOW.timestamp()) + 60
    check(claims(exp=expires), now=NOW + timedelta(seconds=59))
    with pytest.raises(Unauthorised, match="expired"):
        check(claims(exp=expires), now=NOW + timedelta(seconds=60))


@pytest.mark.parametrize("exp", ["4102444800", True, [4102444800], {"a": 1}, float("nan"), -1])
def test_odd_expiry_is_refused(check, exp):
    with pytest.raises(Unauthorised):
        check(claims(exp=exp))


@pytest.mark.parametrize("name", token.CLAIMS)
def test_every_claim_is_required(check, name):
    check(claims())
    with pytest.raises(Unauthorised):
        check(claims(**{name: None}))


@pytest.mark.parametrize("value", [1, "", "é", "0" * 64, ["a"], "\ud800"])
@pytest.mark.parametrize("name", ["webhook_url", "body_sha256"])
def test_claims_of_the_wrong_kind_are_refused(check, name, value):
    with pytest.raises(Unauthorised):
        check(claims(**{name: value}))


def test_body_is_compared_as_bytes(check):
    with pytest.raises(Unauthorised, match="another body"):
        check(claims(), body=BODY + b"\n")


def test_claims_that_gong_may_add_do_not_matter(check):
    later = int(NOW.timestamp()) * 2
    check(claims(aud="someone", iss=7, sub=3, jti=[1], iat="yesterday", nbf=later))


@pytest.mark.parametrize(
    ("claimed", "target", "same"),
    [
        ("https://revpipe.example.com/webhooks/gong", "/webhooks/gong", True),
        ("HTTPS://RevPipe.Example.COM:443/webhooks/gong/", "/webhooks/gong", True),
        ("https://revpipe.example.com/webhooks/gong", "/webhooks/gong/", True),
        ("https://revpipe.example.com/webhooks/gong", "/webhooks/gong?k=1", True),
        ("https://revpipe.example.com/webhooks/gong?b=2&a=1", "/webhooks/gong?a=1&b=2", True),
        ("https://revpipe.example.com/webhooks/gong?a=1", "/webhooks/gong?a=2", False),
        ("https://revpipe.example.com/webhooks/gong?a=1", "/webhooks/gong", False),
        ("https://revpipe.example.com/webhooks/gong?a=", "/webhooks/gong", False),
        ("http://revpipe.example.com/webhooks/gong", "/webhooks/gong", False),
        ("https://revpipe.example.com:8443/webhooks/gong", "/webhooks/gong", False),
        ("https://revpipe.example.com:0/webhooks/gong", "/webhooks/gong", False),
        ("https://revpipe.example.com.evil.test/webhooks/gong", "/webhooks/gong", False),
        ("https://x@revpipe.example.com/webhooks/gong", "/webhooks/gong", False),
        ("https://revpipe.example.com/Webhooks/gong", "/webhooks/gong", False),
        ("https://revpipe.example.com/webhooks/gong/more", "/webhooks/gong", False),
        ("https://revpipe.example.com/webhooks/gong//", "/webhooks/gong", False),
        ("https://revpipe.example.com:x/webhooks/gong", "/webhooks/gong", False),
        ("https://[::1/webhooks/gong", "/webhooks/gong", False),
        ("https://revpipe.example.com.evil.test/x", ".evil.test/x", False),
        ("", "/webhooks/gong", False),
        (None, "/webhooks/gong", False),
    ],
)
def test_urls(claimed, target, same):
    assert token.same_url(claimed, PUBLIC_URL, target) is same


def test_public_url_may_have_a_path_and_a_port():
    claimed = "http://hooks.test:8080/revpipe/webhooks/gong"
    assert token.same_url(claimed, "http://hooks.test:8080/revpipe/", TARGET)
    assert not token.same_url(claimed, "http://hooks.test:8080", TARGET)


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_another_algorithm_is_refused_though_the_key_is_right(private_key, algorithm):
    signed = jwt.encode(claims(), private_key, algorithm=algorithm)
    with pytest.raises(Unauthorised):
        token.check(request(signed), (private_key.public_key(),), PUBLIC_URL)


def test_any_of_several_keys_will_do(private_key, other_key):
    lines = ",\n".join(_bare(key) for key in (other_key, private_key))
    signed = jwt.encode(claims(), private_key, algorithm="RS256")
    token.check(request(signed), token.read_keys(lines), PUBLIC_URL)
    with pytest.raises(Unauthorised):
        token.check(request(signed), token.read_keys(_bare(other_key)), PUBLIC_URL)


def _bare(key):
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    "write",
    [
        lambda pem: pem,
        lambda pem: pem.replace("\n", "\\n"),
        lambda pem: pem.replace("\n", "\\r\\n"),
        lambda pem: pem.replace("\n", "\r\n"),
        lambda pem: pem.replace("\n", " "),
        lambda pem: f'"{pem.strip()}"',
        lambda pem: pem + pem,
        lambda pem: pem + "," + VECTORS["public_key_bare_base64"],
        lambda pem: "\n".join(pem.splitlines()[1:-1]),
    ],
)
def test_forms_of_a_key(write):
    expected = token.read_keys(VECTORS["public_key_bare_base64"])[0].public_numbers()
    keys = token.read_keys(write(VECTORS["public_key_pem"]))
    assert {key.public_numbers() for key in keys} == {expected}


def _malformed_keys():
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    pem = small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    good = VECTORS["public_key_bare_base64"]
    broken = [
        "",
        " ",
        ",",
        "changeme",
        "not base64 !",
        "QUJD",
        "é",
        good[:-8],
        good + ",QUJD",
        "-----BEGIN PUBLIC KEY-----",
    ]
    return [*broken, _bare(small), _bare(curve), pem, "-----BEGIN X-----\nQUJD\n-----END X-----"]


def test_malformed_keys_stop_the_process_and_name_the_setting():
    for value in _malformed_keys():
        with pytest.raises(Misconfigured, match="GONG_WEBHOOK_PUBLIC_KEY"):
            token.read_keys(value)


def test_a_pasted_secret_is_not_repeated():
    with pytest.raises(Misconfigured) as caught:
        token.read_keys("hunter2hunter2hunter2")
    assert "hunter2" not in str(caught.value)


def _segment(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=5), child, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "zip", "cty"])
_HEADERS = st.one_of(
    st.dictionaries(_NAMES, _JSON | st.just("RS256"), max_size=4).map(lambda made: json.dumps(made).encode()),
    st.just(b'{"alg":"RS256","crit":["b64"],"b64":false}'),
    st.just(b'{"alg":["RS256"]}'),
    st.just(b'{"alg":"RS256","kid":' + b"[" * 4000),
    st.just(b'{"alg":"RS256","kid":' + b"9" * 5000 + b"}"),
    st.binary(max_size=40),
)
_TOKENS = st.builds(
    lambda head, body, mark: f"{_segment(head)}.{_segment(body)}.{_segment(mark)}",
    _HEADERS,
    _JSON.map(lambda made: json.dumps(made).encode()) | st.binary(max_size=40),
    st.binary(min_size=1, max_size=256),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(header=st.text(max_size=60) | _TOKENS | _TOKENS.map(lambda made: f"bEaReR   {made}"))
def test_no_header_raises_anything_else(header):
    with pytest.raises(Unauthorised):
        token.check(request(header), token.read_keys(VECTORS["public_key_bare_base64"]), PUBLIC_URL)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic YTpi", "a.b", "a.b.c.d", "..", "a" * 9000, "\ud800.a.b"]
)
def test_headers_without_a_token(header):
    with pytest.raises(Unauthorised, match="holds no token"):
        token.check(request(header), token.read_keys(VECTORS["public_key_bare_base64"]), PUBLIC_URL)
