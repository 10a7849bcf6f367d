"""Sign-in by an OpenID provider: what is believed, and everything that is not."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.oidc.identity import OidcProvider, build
from config.settings import Settings
from revpipe.errors import Misconfigured, Transient, Unauthorised
from revpipe.identity import Departure, Vouched
from tests.contract.openid_provider import CLIENT, SECRET, Provider, serving

BACK = "https://revpipe.example/console/sign-in/oidc/done"
ANN = Vouched("ann@revpipe.example", verified=True)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """Making one takes longer than all else here."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def far(key: rsa.RSAPrivateKey) -> Iterator[Provider]:
    with serving(Provider(key=key)) as provider:
        yield provider


@pytest.fixture
def oidc(far: Provider) -> OidcProvider:
    return OidcProvider(far.url, CLIENT, SECRET)


def visit(departure: Departure) -> dict[str, str]:
    """What the browser brings back from the provider."""
    answer = requests.get(departure.url, allow_redirects=False, timeout=10)
    place = urlsplit(answer.headers["Location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == BACK
    return dict(parse_qsl(place.query))


def whole(oidc: OidcProvider, departure: Departure | None = None) -> Vouched:
    begun = departure or oidc.depart(BACK)
    return oidc.arrive(BACK, visit(begun), begun.kept)


def test_who_the_provider_knows_is_vouched_for(oidc: OidcProvider) -> None:
    begun = oidc.depart(BACK)
    asked = dict(parse_qsl(urlsplit(begun.url).query))
    assert asked["code_challenge_method"] == "S256"
    assert asked["response_type"] == "code"
    assert {"openid", "email"} == set(asked["scope"].split())
    assert (asked["state"], asked["nonce"]) == (begun.kept["state"], begun.kept["nonce"])
    assert begun.kept["verifier"] not in begun.url
    assert whole(oidc, begun) == ANN


def test_two_sign_ins_share_nothing(oidc: OidcProvider) -> None:
    one, other = oidc.depart(BACK), oidc.depart(BACK)
    assert not set(one.kept.values()) & set(other.kept.values())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another-app"},
        {"aud": ["another-app", "third"]},
        {"aud": None},
        {"aud": ["revpipe", "another-app"], "azp": "another-app"},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": None},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"at_hash": "d3Jvbmc"},
    ],
)
def test_an_id_token_is_not_believed_with(far: Provider, oidc: OidcProvider, claims: dict[str, Any]) -> None:
    far.claims = claims
    with pytest.raises(Unauthorised):
        whole(oidc)


def test_an_id_token_that_nobody_signed_is_not_believed(far: Provider, oidc: OidcProvider) -> None:
    far.unsigned, far.header = True, {"alg": "none"}
    with pytest.raises(Unauthorised):
        whole(oidc)


def test_one_signed_by_another_key_is_not_believed(far: Provider, oidc: OidcProvider) -> None:
    far.signs_with = rsa.generate_private_key(65537, 2048)
    with pytest.raises(Unauthorised):
        whole(oidc)


@pytest.mark.parametrize("alg", ["HS256", "none", "RS384"])
def test_the_header_does_not_choose_how_it_is_checked(far: Provider, oidc: OidcProvider, alg: str) -> None:
    far.header = {"alg": alg}
    with pytest.raises(Unauthorised):
        whole(oidc)


def test_the_audience_may_be_one_of_several(far: Provider, oidc: OidcProvider) -> None:
    far.claims = {"aud": ["revpipe", "another-app"], "azp": "revpipe"}
    assert whole(oidc) == ANN


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
def test_an_address_that_was_not_verified_is_told_so(far: Provider, oidc: OidcProvider, verified: object) -> None:
    far.claims = {"email_verified": verified}
    assert whole(oidc) == replace(ANN, verified=False)


def test_an_address_may_come_from_the_userinfo_endpoint_of_the_same_person_only(
    far: Provider, oidc: OidcProvider
) -> None:
    far.claims = {"email": None, "email_verified": None}
    far.userinfo = {"sub": "4711", "email": ANN.email, "email_verified": True}
    assert whole(oidc) == ANN
    far.userinfo["sub"] = "4712"
    with pytest.raises(Unauthorised, match="somebody else"):
        whole(oidc)
    far.userinfo = {"sub": "4711"}
    with pytest.raises(Unauthorised, match="no e-mail address"):
        whole(oidc)


def test_an_answer_to_another_browser_is_not_taken(oidc: OidcProvider, far: Provider) -> None:
    mallory, ann = oidc.depart(BACK), oidc.depart(BACK)
    brought = visit(mallory)
    far.asked.clear()
    with pytest.raises(Unauthorised, match="state"):
        oidc.arrive(BACK, brought, ann.kept)
    with pytest.raises(Unauthorised, match="state"):
        oidc.arrive(BACK, {"code": brought["code"]}, ann.kept)
    assert far.asked == [], "nobody is asked about an answer that is not ours"
    # Nor does a code go with the verifier of another sign-in, should its state be known.
    with pytest.raises(Unauthorised, match="invalid_grant"):
        oidc.arrive(BACK, {**brought, "state": ann.kept["state"]}, ann.kept)


def test_a_code_is_used_once(oidc: OidcProvider) -> None:
    begun = oidc.depart(BACK)
    brought = visit(begun)
    oidc.arrive(BACK, brought, begun.kept)
    with pytest.raises(Unauthorised, match="invalid_grant"):
        oidc.arrive(BACK, brought, begun.kept)


def test_an_answer_of_another_issuer_is_not_mixed_up(oidc: OidcProvider) -> None:
    begun = oidc.depart(BACK)
    with pytest.raises(Unauthorised, match="another issuer"):
        oidc.arrive(BACK, {**visit(begun), "iss": "https://evil.example"}, begun.kept)


def test_a_refusal_of_the_provider_is_one(oidc: OidcProvider) -> None:
    begun = oidc.depart(BACK)
    with pytest.raises(Unauthorised, match="access_denied"):
        oidc.arrive(BACK, {"error": "access_denied", "state": begun.kept["state"]}, begun.kept)


def test_the_secret_must_be_right(far: Provider) -> None:
    with pytest.raises(Unauthorised, match="invalid_client"):
        whole(OidcProvider(far.url, CLIENT, "another secret"))


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
def test_a_provider_in_trouble_is_no_refusal(far: Provider, oidc: OidcProvider, path: str) -> None:
    far.down = path
    with pytest.raises(Transient):
        whole(oidc)
    far.down = None
    assert whole(oidc) == ANN


@pytest.mark.parametrize("document", [{"issuer": "https://evil.example"}, {"token_endpoint": None}, {"jwks_uri": 7}])
def test_a_document_that_does_not_fit_is_not_used(far: Provider, oidc: OidcProvider, document: dict[str, Any]) -> None:
    far.document = document
    with pytest.raises(Transient):
        oidc.depart(BACK)


def test_documents_and_keys_are_asked_for_once_and_new_keys_found(far: Provider, oidc: OidcProvider) -> None:
    for _ in range(3):
        assert whole(oidc) == ANN
    assert far.asked.count("/jwks") == far.asked.count("/.well-known/openid-configuration") == 1
    far.header = {"kid": "made-up"}
    for _ in range(3):
        with pytest.raises(Unauthorised):
            whole(oidc)
    assert far.asked.count("/jwks") == 1, "made-up keys must not make us a nuisance to the provider"


def test_settings_that_do_not_fit_stop_the_process(far: Provider) -> None:
    with pytest.raises(Misconfigured, match="https://"):
        OidcProvider("http://login.example", CLIENT, SECRET)
    with pytest.raises(Misconfigured, match="OIDC_CLIENT_ID"):
        build(Settings(oidc_issuer=far.url))
