"""The simulated vendors' signatures, against published vectors and an independent check."""

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from adapters.sandbox import signing

SDK = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
SDK_URI = "https://www.example.com/webhook_uri"
SDK_BODY = b"{'example_field':'example_value'}"
L1 = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
    b'"changeFlag":"NEW","appId":54321}]'
)
OWN = "revpipe-test-secret-0001"
OWN_URI = "https://hooks.revpipe.test/webhooks/hubspot"
OWN_TIME = 1767225601001
L2 = (
    b'[{"eventId":3141592653,"subscriptionId":2718281,"portalId":24681357,"appId":1357924,'
    b'"occurredAt":1767225600123,"subscriptionType":"deal.propertyChange","attemptNumber":0,'
    b'"objectId":198765432101,"propertyName":"dealstage","propertyValue":"presentationscheduled",'
    b'"changeSource":"CRM_UI","sourceId":"userId:11223344"}]'
)
ACCENTS = '[{"objectId":7,"propertyName":"dealname","propertyValue":"Zoë – Größe 10 €"}]'.encode()


@pytest.mark.parametrize(
    ("secret", "body", "expected"),
    [
        (SDK, L1, "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"),
        (SDK, SDK_BODY, "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"),
        (OWN, L2, "6846cd006f2059df5c9368d4fc50c03bc0c97d284ca43ae26d2cbaf618fd080c"),
    ],
)
def test_v1_agrees_with_the_vectors(secret: str, body: bytes, expected: str) -> None:
    assert signing.hubspot_v1(secret, body) == expected


@pytest.mark.parametrize(
    ("secret", "uri", "body", "at", "expected"),
    [
        (SDK, SDK_URI, SDK_BODY, 1693657560000, "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y="),
        (SDK, SDK_URI, SDK_BODY, 1700000300000, "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw="),
        (OWN, OWN_URI, L2, OWN_TIME, "rvieAuwnZlEZk1Zv1BmNTXZ8aV0lA5YSZ0MkZosU1OY="),
        (OWN, OWN_URI, ACCENTS, OWN_TIME, "nnlGQmVEohDrLY3LKLbC64C6rikQFQgNIQmyrUyxc5o="),
        (
            OWN,
            OWN_URI + "?tenant=acme%3Aeu%2F1&x=%28a%29&n=a%20b",
            b"[]",
            OWN_TIME,
            "ZnRGaWEEMC7yBFg+aEXfixA2KJoX4z1MQPdObEuX0mU=",
        ),
    ],
)
def test_v3_agrees_with_the_vectors(secret: str, uri: str, body: bytes, at: int, expected: str) -> None:
    assert signing.hubspot_v3(secret, "post", uri, body, at) == expected


def test_headers_are_those_of_a_captured_request() -> None:
    headers = signing.hubspot_headers(OWN, OWN_URI, L2, OWN_TIME)
    assert headers["X-HubSpot-Signature-Version"] == "v1"
    assert headers["X-HubSpot-Request-Timestamp"] == "1767225601001"
    assert headers["X-HubSpot-Signature"] == signing.hubspot_v1(OWN, L2)
    assert headers["X-HubSpot-Signature-v3"] == "rvieAuwnZlEZk1Zv1BmNTXZ8aV0lA5YSZ0MkZosU1OY="


def test_gong_signs_url_and_body_with_its_private_key() -> None:
    private, public = signing.gong_key_pair()
    head, claims, signature = signing.gong_jwt(private, "https://x.test/webhooks/gong", b"{}", 4102444800).split(".")
    key = serialization.load_pem_public_key(public.encode())
    key.verify(_plain(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(_plain(head))["alg"] == "RS256"
    assert json.loads(_plain(claims)) == {
        "webhook_url": "https://x.test/webhooks/gong",
        "body_sha256": hashlib.sha256(b"{}").hexdigest(),
        "exp": 4102444800,
    }


def _plain(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
