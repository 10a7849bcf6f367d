"""HubSpot's signatures: published and own vectors, rotation, time bounds, and what must be refused."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.hubspot import signature
from revpipe.errors import SourceNotConfigured, Unauthorised
from revpipe.ports import InboundRequest

DOCS_SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
DOCS_URL = "https://www.example.com/webhook_uri"
QUOTES_SINGLE = b"{'example_field':'example_value'}"
QUOTES_DOUBLE = b'{"example_field":"example_value"}'
CONTACT_CREATED = (
    b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
    b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
    b'"changeFlag":"NEW","appId":54321}]'
)

SECRET = "revpipe-test-secret-0001"
PUBLIC_URL = "https://hooks.revpipe.test"
TARGET = "/webhooks/hubspot"
TIMESTAMP = "1767225601001"
SENT_AT = datetime(2026, 1, 1, 0, 0, 1, 1000, tzinfo=UTC)
STAGE_CHANGED = (
    b'[{"eventId":3141592653,"subscriptionId":2718281,"portalId":24681357,"appId":1357924,'
    b'"occurredAt":1767225600123,"subscriptionType":"deal.propertyChange","attemptNumber":0,'
    b'"objectId":198765432101,"propertyName":"dealstage","propertyValue":"presentationscheduled",'
    b'"changeSource":"CRM_UI","sourceId":"userId:11223344"}]'
)
UMLAUTS = '[{"objectId":7,"propertyName":"dealname","propertyValue":"Zoë – Größe 10 €"}]'.encode()
ESCAPED = "?tenant=acme%3Aeu%2F1&x=%28a%29&n=a%20b"
R1 = "6846cd006f2059df5c9368d4fc50c03bc0c97d284ca43ae26d2cbaf618fd080c"
R2 = "06a9d85e6385ad3dd50e738c55ca75d8b4f01a30d9e06485641ec3664de804b9"
R3 = "rvieAuwnZlEZk1Zv1BmNTXZ8aV0lA5YSZ0MkZosU1OY="
R4 = "nnlGQmVEohDrLY3LKLbC64C6rikQFQgNIQmyrUyxc5o="
R5 = "ZnRGaWEEMC7yBFg+aEXfixA2KJoX4z1MQPdObEuX0mU="
R6 = "gt2BSXSrEKKrzMp5rBw9F95/r7EjZqUbW2FZe8z6p0U="


def request(
    headers: dict[str, str],
    body: bytes = STAGE_CHANGED,
    target: str = TARGET,
    received_at: datetime = SENT_AT,
    method: str = "POST",
) -> InboundRequest:
    return InboundRequest(method, target, headers, body, received_at)


def v3_headers(value: str = R3, timestamp: str = TIMESTAMP) -> dict[str, str]:
    return {"x-hubspot-signature-v3": value, "x-hubspot-request-timestamp": timestamp}


def old_headers(value: str, version: str) -> dict[str, str]:
    return {"x-hubspot-signature": value, "x-hubspot-signature-version": version}


def check(inbound: InboundRequest, *, secrets=(SECRET,), public_url=PUBLIC_URL, legacy=()) -> None:
    signature.check(inbound, secrets, public_url, legacy)


@pytest.mark.parametrize(
    ("secret", "body", "expected"),
    [
        pytest.param(
            DOCS_SECRET,
            CONTACT_CREATED,
            "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de",
            id="V1-A",
        ),
        pytest.param(
            DOCS_SECRET,
            QUOTES_SINGLE,
            "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750",
            id="V1-B",
        ),
        pytest.param(SECRET, STAGE_CHANGED, R1, id="R-1"),
    ],
)
def test_v1_vectors(secret, body, expected):
    assert signature.v1(secret, body) == expected


@pytest.mark.parametrize(
    ("secret", "method", "uri", "body", "expected"),
    [
        pytest.param(
            DOCS_SECRET,
            "GET",
            DOCS_URL,
            b"",
            "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e",
            id="V2-A",
        ),
        pytest.param(
            DOCS_SECRET,
            "POST",
            DOCS_URL,
            QUOTES_DOUBLE,
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
            id="V2-B",
        ),
        pytest.param(
            DOCS_SECRET,
            "POST",
            DOCS_URL,
            QUOTES_SINGLE,
            "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
            id="V2-C",
        ),
        pytest.param(SECRET, "POST", PUBLIC_URL + TARGET, STAGE_CHANGED, R2, id="R-2"),
    ],
)
def test_v2_vectors(secret, method, uri, body, expected):
    assert signature.v2(secret, method, uri, body) == expected


@pytest.mark.parametrize(
    ("secret", "uri", "body", "timestamp", "expected"),
    [
        pytest.param(
            DOCS_SECRET,
            DOCS_URL,
            QUOTES_SINGLE,
            "1693657560000",
            "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
            id="V3-A",
        ),
        pytest.param(
            DOCS_SECRET,
            DOCS_URL,
            QUOTES_SINGLE,
            "1700000300000",
            "RnbPH7+UMKVkbV32P8bz450N4M56aPmcru1+D3kSDtw=",
            id="V3-B",
        ),
        pytest.param(SECRET, PUBLIC_URL + TARGET, STAGE_CHANGED, TIMESTAMP, R3, id="R-3"),
        pytest.param(SECRET, PUBLIC_URL + TARGET, UMLAUTS, TIMESTAMP, R4, id="R-4"),
        pytest.param(SECRET, PUBLIC_URL + TARGET + "?tenant=acme:eu/1&x=(a)&n=a%20b", b"[]", TIMESTAMP, R5, id="R-5"),
        pytest.param(SECRET, PUBLIC_URL + TARGET + ESCAPED, b"[]", TIMESTAMP, R6, id="R-6"),
    ],
)
def test_v3_vectors(secret, uri, body, timestamp, expected):
    assert signature.v3(secret, "POST", uri, body, timestamp) == expected


@pytest.mark.parametrize(
    ("body", "target", "value"),
    [(STAGE_CHANGED, TARGET, R3), (UMLAUTS, TARGET, R4), (b"[]", TARGET + ESCAPED, R5)],
    ids=["R-3", "R-4", "R-5"],
)
def test_a_v3_request_is_accepted(body, target, value):
    check(request(v3_headers(value), body, target))


def test_a_signature_over_the_escaped_uri_is_refused():
    with pytest.raises(Unauthorised, match="does not match"):
        check(request(v3_headers(R6), b"[]", TARGET + ESCAPED))


def test_only_the_listed_escapes_are_decoded_once_and_in_either_case():
    listed = "%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B"
    assert signature.decode_listed(listed) == "://?@!$'()*,;".replace("//", "/")
    assert signature.decode_listed(listed.lower()) == signature.decode_listed(listed)
    kept = "%20%26%3D%25%2B%23%22%5B%253A%C3%BC%"
    assert signature.decode_listed(kept) == kept


def test_a_trailing_slash_of_the_public_url_and_the_case_of_the_method_do_not_matter():
    check(request(v3_headers(), method="post"), public_url=PUBLIC_URL + "/")


@pytest.mark.parametrize("secrets", [(SECRET, "other"), ("other", SECRET), ("", "other", SECRET)])
def test_every_secret_counts_while_rotating(secrets):
    check(request(v3_headers()), secrets=secrets)


@pytest.mark.parametrize(
    "inbound",
    [
        request(v3_headers(), STAGE_CHANGED + b" "),
        request(v3_headers(), STAGE_CHANGED.replace(b":", b": ")),
        request(v3_headers(), target=TARGET + "?x=1"),
        request(v3_headers(), method="PUT"),
        request(v3_headers(timestamp="1767225601002")),
        request(v3_headers(R3.lower())),
        request(v3_headers(R3[:-1])),
        request(v3_headers(R4)),
    ],
    ids=["body", "spacing", "target", "method", "timestamp", "case", "shorter", "other"],
)
def test_whatever_is_changed_breaks_the_signature(inbound):
    with pytest.raises(Unauthorised, match="does not match"):
        check(inbound)


def test_another_secret_or_address_breaks_the_signature():
    with pytest.raises(Unauthorised):
        check(request(v3_headers()), secrets=("other", "another"))
    with pytest.raises(Unauthorised):
        check(request(v3_headers()), public_url="http://hooks.revpipe.test")


@pytest.mark.parametrize("way", [1, -1])
def test_a_timestamp_holds_for_exactly_five_minutes_both_ways(way):
    limit = timedelta(minutes=5) * way
    check(request(v3_headers(), received_at=SENT_AT + limit))
    with pytest.raises(Unauthorised, match="five minutes"):
        check(request(v3_headers(), received_at=SENT_AT + limit + timedelta(milliseconds=1) * way))


@pytest.mark.parametrize(
    "timestamp",
    [
        *("", "soon", "nan", "inf", "-1", "1.767e12", "\udcff", "9" * 17, "9" * 5000),
        *("+1767225601001", " 1767225601001", "1767225601001\n", "1767225601001.0", "١٧٦٧٢٢٥٦٠١٠٠١"),
    ],
)
def test_a_timestamp_is_digits_only(timestamp):
    value = signature.v3(SECRET, "POST", PUBLIC_URL + TARGET, STAGE_CHANGED, timestamp)
    with pytest.raises(Unauthorised):
        check(request(v3_headers(value, timestamp)))


def test_a_missing_or_far_timestamp_is_refused():
    with pytest.raises(Unauthorised):
        check(request({"x-hubspot-signature-v3": R3}))
    for timestamp in ("0", "9" * 16):
        value = signature.v3(SECRET, "POST", PUBLIC_URL + TARGET, STAGE_CHANGED, timestamp)
        with pytest.raises(Unauthorised, match="five minutes"):
            check(request(v3_headers(value, timestamp)))


@pytest.mark.parametrize("value", ["", "ü", "\udcff", "\0", "a" * 100_000, "=", R1])
def test_odd_signatures_are_refused_and_do_not_crash(value):
    with pytest.raises(Unauthorised):
        check(request(v3_headers(value)))
    for version in ("v1", "v2"):
        with pytest.raises(Unauthorised):
            check(request(old_headers(value + "x", version)), legacy=("v1", "v2"))


@pytest.mark.parametrize("target", ["/webhooks/hubspot\udcff", "/webhooks/hübspot", "", "%"])
def test_odd_targets_are_refused_and_do_not_crash(target):
    with pytest.raises(Unauthorised):
        check(request(v3_headers(), target=target))


@pytest.mark.parametrize(("version", "value"), [("v1", R1), ("v2", R2)])
def test_older_versions_count_only_where_allowed(version, value):
    headers = old_headers(value, version)
    check(request(headers), legacy=(version,))
    check(request(headers), legacy=("v1", "v2"), secrets=("other", SECRET))
    for legacy in ((), tuple({"v1", "v2"} - {version})):
        with pytest.raises(Unauthorised, match="not accepted"):
            check(request(headers), legacy=legacy)
    with pytest.raises(Unauthorised, match="does not match"):
        check(request(headers, STAGE_CHANGED + b" "), legacy=(version,))


@pytest.mark.parametrize(("version", "value"), [("v1", R2), ("v2", R1)])
def test_the_version_header_chooses_the_scheme(version, value):
    with pytest.raises(Unauthorised, match="does not match"):
        check(request(old_headers(value, version)), legacy=("v1", "v2"))


@pytest.mark.parametrize("value", ["", "wrong", R4])
def test_a_wrong_v3_is_not_saved_by_an_older_signature(value):
    headers = old_headers(R1, "v1") | v3_headers(value)
    with pytest.raises(Unauthorised):
        check(request(headers), legacy=("v1", "v2"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hubspot-signature": R1},
        {"x-hubspot-signature-version": "v1"},
        old_headers(R3, "v3"),
        old_headers(R1, "V1"),
        old_headers(R1, "ü"),
        {"x-hubspot-signature-timestamp": TIMESTAMP},
    ],
)
def test_a_request_without_a_known_signature_is_refused(headers):
    with pytest.raises(Unauthorised, match="no HubSpot signature"):
        check(request(headers), legacy=("v1", "v2"))


@pytest.mark.parametrize("secrets", [(), ("",)])
@pytest.mark.parametrize("headers", [{}, v3_headers(), old_headers(R1, "v1")])
def test_without_a_secret_nothing_is_trusted(secrets, headers):
    with pytest.raises(SourceNotConfigured, match="HUBSPOT_CLIENT_SECRET"):
        check(request(headers), secrets=secrets, legacy=("v1",))


def test_an_empty_secret_is_no_key():
    value = signature.v3("", "POST", PUBLIC_URL + TARGET, STAGE_CHANGED, TIMESTAMP)
    with pytest.raises(Unauthorised):
        check(request(v3_headers(value)), secrets=("", SECRET))


def test_the_public_url_is_asked_for_where_the_signature_covers_it():
    with pytest.raises(SourceNotConfigured, match="PUBLIC_URL"):
        check(request(v3_headers()), public_url=None)
    with pytest.raises(SourceNotConfigured, match="PUBLIC_URL"):
        check(request(old_headers(R2, "v2")), public_url=None, legacy=("v2",))
    check(request(old_headers(R1, "v1")), public_url=None, legacy=("v1",))
