"""What the API refuses: with the status that fits, as a problem document, and with what to do."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
import requests

from revpipe.circuits import RedisCircuits
from revpipe.embedded.client import Lease
from revpipe.services import Services
from tests.integration.api_fixtures import Called, Caller, admin, answering, called, for_api
from tests.integration.console_ground import COOKIE, session_of
from tests.integration.ledger_fixtures import MovableClock, call, put, run_to

__all__ = ["admin", "called"]

FEW = 10


def check(answer: requests.Response, status: int, *words: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text
    told = answer.json()
    assert {"type", "title", "status", "detail"} <= set(told)
    assert told["status"] == status
    for word in words:
        assert word in told["detail"], told


def test_who_shows_no_token_is_told_to(called: Called) -> None:
    for caller in (called.nobody, Caller(called.url, "rvp_nobody-has-this")):
        answer = caller.get("/signals")
        check(answer, 401, "Authorization: Bearer")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_role_and_a_scope_bound_what_a_token_may(called: Called) -> None:
    check(called.as_("viewer").get("/dead-letters"), 403, "role viewer", "deadletters.read")
    check(called.as_("rep").get("/audit"), 403, "role rep")
    narrow = called.as_("admin", scopes=["signals.read"])
    assert narrow.get("/signals").status_code == 200
    check(narrow.get("/plans"), 403, "scope", "plans.read")
    reader = called.as_("admin", scopes=["read"])
    assert reader.get("/audit").status_code == 200
    check(reader.post(f"/dead-letters/{uuid.uuid4()}/replay"), 403, "scope", "deadletters.replay")


def test_what_is_not_there_says_where_to_look(called: Called, admin: Caller) -> None:
    for path in ("signals", "plans", "actions", "approvals", "dead-letters"):
        check(admin.get(f"/{path}/{uuid.uuid4()}"), 404, f"GET /api/v1/{path}")
    check(admin.get(f"/signals/{uuid.uuid4()}/trail"), 404, "GET /api/v1/signals")
    check(admin.get("/nothing"), 404)
    check(admin.get("/signals/not-an-id"), 404)


@pytest.mark.parametrize(
    ("path", "query", "words"),
    [
        ("/signals", {"limit": "0"}, ["query.limit", "from 1 to 200"]),
        ("/signals", {"limit": "201"}, ["query.limit", "from 1 to 200"]),
        ("/signals", {"limit": "many"}, ["query.limit", "whole number"]),
        ("/signals", {"colour": "red"}, ["query.colour", "Unknown field"]),
        ("/signals", {"state": "lost"}, ["query.state", "received, enriched"]),
        ("/signals", {"since": "yesterday"}, ["query.since", "2026-03-05T09:00:00Z"]),
        ("/signals", {"since": "2026-03-05T09:00:00"}, ["query.since"]),
        ("/signals", {"since": "2026-13-05T09:00:00Z"}, ["query.since", "no such time"]),
        ("/signals", {"event": "a b"}, ["query.event"]),
        ("/signals", {"deal_id": "a\0b"}, ["query.deal_id"]),
        ("/signals", {"correlation_id": "7"}, ["query.correlation_id"]),
        ("/signals", {"after": "a cursor?"}, ["query.after"]),
        ("/plans", {"conclusive": "maybe"}, ["query.conclusive", "true or false"]),
        ("/actions", {"type": "dance"}, ["query.type", "send_alert"]),
        ("/approvals", {"state": "asked"}, ["query.state", "open"]),
        ("/dead-letters", {"stage": "lunch"}, ["query.stage", "ingest"]),
    ],
)
def test_an_argument_that_can_not_be_is_named(
    called: Called, admin: Caller, path: str, query: dict[str, str], words: list[str]
) -> None:
    answer = admin.get(path, **query)
    check(answer, 422, *words)
    (name,) = query
    assert name in answer.json()["errors"]["query"]


def test_a_body_that_can_not_be_is_named(called: Called, admin: Caller) -> None:
    path = f"/dead-letters/{uuid.uuid4()}/discard"
    check(admin.post(path, {}), 422, "json.why")
    check(admin.post(path, {"why": 7}), 422, "json.why")
    check(admin.post(path, {"why": "x", "more": 1}), 422, "json.more")
    check(admin.post(path, ["why"]), 422)
    json_type = {"Content-Type": "application/json"}
    check(admin.ask("POST", path, data="{", headers=json_type), 400, "JSON")
    check(admin.ask("POST", path, data=b"\xff", headers=json_type), 400, "JSON")
    for unreadable in ("[" * 100_000, '{"why":' * 100_000, "9" * 5_000, '{"why": -' + "9" * 5_000 + "}"):
        check(admin.ask("POST", path, data=unreadable, headers=json_type), 400, "json: ")
    check(admin.ask("POST", path, data="why=x"), 422, "json.why")
    check(admin.ask("POST", path, data="x" * 1_000_001, headers=json_type), 413)


def test_a_method_that_is_not_there_names_those_that_are(called: Called, admin: Caller) -> None:
    answer = admin.ask("DELETE", "/signals")
    check(answer, 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_rules_with_faults_are_not_simulated_but_told_line_by_line(called: Called, admin: Caller) -> None:
    faulty = "rules:\n  - id: Bad\n    when: signal.nothing > 1\n"
    answer = admin.post("/simulations", {"rules": faulty})
    check(answer, 422, "faults")
    assert any(line.startswith("rules:") for line in answer.json()["errors"]["json"]["rules"])
    odd = admin.post("/simulations", {"rules": "rules:\n  - \x05"})
    assert odd.json()["errors"]["json"]["rules"] == ["rules:2: is not YAML: the character U+0005 can't stand in it"]
    check(admin.post("/simulations", {"rules": "- x", "most": 5_001}), 422, "json.most", "from 1 to 5000")
    check(admin.post("/simulations", {"rules": "x" * 200_001}), 422, "json.rules")


def test_rules_are_simulated_on_the_newest_signals(called: Called, admin: Caller, clock: MovableClock) -> None:
    for name in "abc":
        put(called.services, call(name, f"d-{name}"))
        run_to(called.services, "execute")
        clock.move(seconds=1)
    mine = called.services.rules.source
    found = admin.post("/simulations", {"rules": mine}).json()
    assert (found["signals"], found["cut"], found["rules_version"]) == (3, False, called.services.rules.version)
    assert found["totals"]["actions"] == 6
    fewer = admin.post("/simulations", {"rules": mine, "most": 2}).json()
    assert (fewer["signals"], fewer["cut"]) == (2, True)
    none = admin.post("/simulations", {"rules": mine, "until": "0001-01-01T00:00:00Z"}).json()
    assert none["signals"] == 0


@pytest.fixture
def limited(services: Services, pair: Lease) -> Iterator[Called]:
    """An API that lets each caller ask FEW times a minute, counted in Redis."""
    with redis.Redis.from_url(pair.redis_url) as client:
        settings = replace(services.settings, api_calls_per_minute=FEW)
        made = replace(for_api(services), settings=settings, circuits=RedisCircuits(client))
        with answering(made) as url:
            yield Called(made, url)


def test_who_asks_too_often_is_told_when_to_come_again(limited: Called) -> None:
    eager, other = limited.as_("viewer"), limited.as_("viewer")
    answers = [eager.get("/rules") for _ in range(FEW)]
    assert [answer.status_code for answer in answers] == [200] * FEW
    left = [int(answer.headers["X-RateLimit-Remaining"]) for answer in answers]
    assert left == list(range(FEW - 1, -1, -1))
    over = eager.get("/signals")
    check(over, 429, "10 per 1 minute", "Retry-After")
    # A minute at the most, and the limiter rounds up to whole seconds twice.
    assert 0 <= int(over.headers["Retry-After"]) <= 61
    assert other.get("/rules").status_code == 200
    # Webhooks and health are nobody's calls of the API.
    for _ in range(FEW + 1):
        assert requests.get(f"{limited.url}/healthz", timeout=30).status_code == 200


def test_two_web_processes_count_together(limited: Called) -> None:
    eager = limited.as_("viewer")
    with answering(limited.services) as url:
        elsewhere = Caller(url, eager.token)
        for at in range(FEW):
            assert (eager, elsewhere)[at % 2].get("/rules").status_code == 200
        assert elsewhere.get("/rules").status_code == 429


def test_without_redis_each_process_counts_for_itself(services: Services) -> None:
    client = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    settings = replace(services.settings, api_calls_per_minute=FEW)
    made = replace(for_api(services), settings=settings, circuits=RedisCircuits(client))
    with answering(made) as url:
        eager = Called(made, url).as_("viewer")
        statuses = [eager.get("/rules").status_code for _ in range(FEW + 5)]
    assert statuses[:FEW] == [200] * FEW
    assert 429 in statuses


def test_tokens_that_are_made_up_are_counted_by_address(limited: Called) -> None:
    holder = limited.as_("viewer")
    statuses = [Caller(limited.url, f"rvp_{uuid.uuid4()}").get("/rules").status_code for _ in range(FEW + 2)]
    assert statuses == [*[401] * FEW, 429, 429]
    assert holder.get("/rules").status_code == 200


def test_a_token_is_one_caller_however_it_is_spelt(limited: Called) -> None:
    holder = limited.as_("viewer")
    spelt = [f"{'bEARER'[: at % 6]}{'Bearer'[at % 6 :]} {' ' * at}{holder.token}" for at in range(FEW + 1)]
    found = [requests.get(f"{limited.url}/api/v1/rules", headers={"Authorization": one}, timeout=30) for one in spelt]
    assert [answer.status_code for answer in found] == [*[200] * FEW, 429]


def test_a_session_is_one_caller_whatever_else_it_shows(limited: Called) -> None:
    cookie = {COOKIE: session_of(limited.services, "ann@example.com", "viewer")}
    url = f"{limited.url}/api/v1/rules"
    statuses = [
        requests.get(url, cookies=cookie, headers={"Authorization": f"Basic {at}"}, timeout=30).status_code
        for at in range(FEW + 1)
    ]
    assert statuses == [*[200] * FEW, 429]
