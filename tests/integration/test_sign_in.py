"""Getting in and out: by password and by link, and everything by which others might."""

import re
import statistics
import time
from typing import Any
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher
from flask import Flask
from werkzeug.test import TestResponse

from revpipe.db import transaction
from revpipe.services import Services
from revpipe.users import accounts, links, passwords, throttle
from revpipe.users import sign_in as signing_in
from revpipe.users.account import User
from revpipe.users.errors import SignInRefused, TooManyTries
from revpipe.users.sign_in import Browser
from tests.integration.ledger_fixtures import MovableClock, at_once, one, rows
from tests.integration.people import (
    ACCOUNT,
    COOKIE,
    HTTPS,
    PASSWORD,
    SIGN_IN,
    at_home,
    cookie_of,
    form_token,
    in_,
    person,
    post,
    sign_in,
    web,
)

ANN = "ann@revpipe.example"
OTHER = "eight other words on the same paper"
WRONG = "not the words that are wanted"
HERE = Browser("192.0.2.7", "a test")


@pytest.fixture
def app(services: Services) -> Flask:
    return web(services)


@pytest.fixture
def ann(services: Services) -> User:
    return person(services, ANN, "operator", PASSWORD)


def link_of(services: Services, user: User, **more: Any) -> str:
    with transaction(services.engine) as tx:
        return links.PATH + links.make(tx, services.clock.now(), user.user_id, "a test", **more)


def test_in_by_password_and_out_again(app: Flask, services: Services, ann: User) -> None:
    client = app.test_client()
    answer = sign_in(client, "  Ann@RevPipe.example ")
    assert (answer.status_code, answer.location) == (303, "/console/")
    assert ANN in client.get(ACCOUNT).text
    made = cookie_of(client)
    left = post(client, "/console/sign-out", ACCOUNT)
    assert (left.status_code, left.location, cookie_of(client)) == (303, SIGN_IN, None)
    client.set_cookie(COOKIE, str(made))
    assert not in_(client), "a cookie that was copied before must not outlive the sign-out"
    told = rows(services, "SELECT actor, command, detail FROM operator_audit")
    assert [(row["actor"], row["command"], row["detail"]["way"]) for row in told] == [(ANN, "sign-in", "password")]


@pytest.mark.parametrize("email", ["\0", f"{ANN}\0", "\ud800@revpipe.example", "x" * 5_000, "' OR 1=1 --"])
def test_what_is_no_address_is_a_wrong_one(app: Flask, ann: User, email: str) -> None:
    client = app.test_client()
    token = form_token(client, SIGN_IN)
    body = urlencode({"csrf_token": token, "email": email, "password": PASSWORD}, errors="surrogatepass")
    answer = client.post(SIGN_IN, data=body, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, in_(client)) == (401, False)


def test_the_ledger_holds_nothing_that_lets_anybody_in(app: Flask, services: Services, ann: User) -> None:
    client = app.test_client()
    sign_in(client, ANN)
    made = str(cookie_of(client))
    link = link_of(services, ann).rsplit("/", 1)[-1]
    kept = str(rows(services, "SELECT * FROM sessions, sign_in_links, users")) + str(
        rows(
            services,
            "SELECT encode(session_hash, 'escape') AS a, encode(link_hash, 'escape') AS b FROM sessions, sign_in_links",
        )
    )
    assert made not in kept
    assert link not in kept
    assert PASSWORD not in kept
    assert "$argon2id$" in kept


def test_the_cookie_of_plain_http(app: Flask, ann: User) -> None:
    set_ = sign_in(app.test_client(), ANN).headers.getlist("Set-Cookie")
    (made,) = [one for one in set_ if one.startswith(f"{COOKIE}=")]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(made.split("; "))
    assert "Domain" not in made
    assert "Secure" not in made


def test_the_cookie_of_https(services: Services, ann: User) -> None:
    client = web(services, public_url=HTTPS).test_client()
    token = form_token(client, SIGN_IN, base_url=HTTPS)
    data = {"email": ANN, "password": PASSWORD, "csrf_token": token}
    answer = client.post(SIGN_IN, data=data, base_url=HTTPS)
    (made,) = [one for one in answer.headers.getlist("Set-Cookie") if one.startswith(f"__Host-{COOKIE}=")]
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(made.split("; "))
    assert "Domain" not in made
    assert client.get(ACCOUNT, base_url=HTTPS).status_code == 200


def test_who_signs_in_gets_a_new_session_whatever_cookie_was_planted(app: Flask, services: Services, ann: User) -> None:
    mallory = person(services, "mallory@revpipe.example", password=OTHER)
    planted = at_home(app, services, mallory)
    before = str(cookie_of(planted))
    victim = app.test_client()
    token = form_token(victim, SIGN_IN)
    victim.set_cookie(COOKIE, before)
    answer = victim.post(SIGN_IN, data={"email": ANN, "password": PASSWORD, "csrf_token": token})
    assert answer.status_code == 303
    assert cookie_of(victim) not in (before, None)
    assert not in_(planted), "the session that was planted must not go on beside the new one"
    made_up = app.test_client()
    made_up.set_cookie(COOKIE, "chosen-by-somebody-else")
    sign_in(made_up, ANN)
    assert cookie_of(made_up) != "chosen-by-somebody-else"


def test_a_wrong_password_and_an_unknown_address_are_told_apart_by_nothing(
    app: Flask, services: Services, ann: User
) -> None:
    person(services, "link-only@revpipe.example")
    gone = person(services, "gone@revpipe.example", password=PASSWORD)
    with transaction(services.engine) as tx:
        accounts.change(tx, services.clock.now(), gone.user_id, {"active": False})
    tried = (
        (ANN, WRONG),
        ("nobody@revpipe.example", WRONG),
        ("link-only@revpipe.example", WRONG),
        (gone.email, PASSWORD),
    )
    answers = [sign_in(app.test_client(), email, password) for email, password in tried]
    told = {(one.status_code, re.sub(r'value="[^"]*"', "", one.text)) for one in answers}
    assert len(told) == 1
    assert answers[0].status_code == 401
    assert signing_in.WRONG in answers[0].text


def test_an_unknown_address_takes_as_long_as_a_known_one(services: Services, ann: User) -> None:
    def seconds(email: str) -> float:
        took = []
        for _ in range(7):
            with transaction(services.engine) as tx:
                hashed = passwords.kept(tx, email)
            began = time.perf_counter()
            assert not passwords.holds(hashed, WRONG)
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    seconds("warm@revpipe.example")
    assert 0.5 < seconds("nobody@revpipe.example") / seconds(ANN) < 2


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/console/",
        "/\\evil.example",
        "/console/..//evil.example",
        "/console//evil.example",
        "/console/@evil.example\nx",
        "javascript:alert(1)",
        "/imports/bombora",
        "/console/x?next=http://evil.example\r\nSet-Cookie: a=b",
        "",
    ],
)
def test_nobody_is_led_out_of_the_console(app: Flask, ann: User, wanted: str) -> None:
    client = app.test_client()
    assert wanted not in re.findall(
        r'name="next" value="([^"]*)"', client.get(SIGN_IN, query_string={"next": wanted}).text
    )
    answer = sign_in(client, ANN, next=wanted)
    assert (answer.status_code, answer.location) == (303, "/console/")
    again = client.get(SIGN_IN, query_string={"next": wanted})
    assert (again.status_code, again.location) == (303, "/console/")


def test_who_came_for_a_page_gets_there(app: Flask, ann: User) -> None:
    wanted = "/console/approvals/0198f0e2-7c5e-7a10-8000-000000000001?from=slack"
    client = app.test_client()
    assert f'name="next" value="{wanted}"' in client.get(SIGN_IN, query_string={"next": wanted}).text
    assert sign_in(client, ANN, next=wanted).location == wanted


def test_tries_against_one_account_are_counted_before_they_are_compared(
    app: Flask, services: Services, clock: MovableClock, ann: User
) -> None:
    for _ in range(throttle.OF_ACCOUNT):
        assert sign_in(app.test_client(), ANN, WRONG).status_code == 401
    closed = sign_in(app.test_client(), ANN)
    assert closed.status_code == 429, "even the right password is not compared any more"
    assert 0 < int(closed.headers["Retry-After"]) <= 15 * 60
    link = app.test_client()
    assert post(link, path := link_of(services, ann), path).status_code == 303, "a link stays open to its owner"
    clock.move(minutes=16)
    assert sign_in(app.test_client(), ANN).status_code == 303


def test_who_gets_in_has_their_tries_forgotten(app: Flask, ann: User) -> None:
    for _ in range(2):
        for _ in range(throttle.OF_ACCOUNT - 1):
            sign_in(app.test_client(), ANN, WRONG)
        assert sign_in(app.test_client(), ANN).status_code == 303


def test_tries_at_once_do_not_outrun_the_count(services: Services, ann: User) -> None:
    def try_(_: int) -> str:
        try:
            signing_in.by_password(services.engine, services.clock.now(), ANN, WRONG, HERE)
        except (SignInRefused, TooManyTries) as error:
            return error.code
        return "in"

    answers = at_once(12, try_) + at_once(12, try_)
    assert answers.count("sign_in_refused") == throttle.OF_ACCOUNT
    assert answers.count("too_many_tries") == 24 - throttle.OF_ACCOUNT


def test_many_accounts_from_one_address_are_counted_together(services: Services) -> None:
    def spend(number: int, address: str) -> None:
        throttle.spend(services.engine, services.clock.now(), f"u{number}@revpipe.example", address)

    for number in range(throttle.FROM_ADDRESS):
        spend(number, f"2001:db8:1:2::{number:x}")
    with pytest.raises(TooManyTries):
        spend(99, "2001:db8:1:2:ffff::1")
    spend(99, "2001:db8:1:3::1")
    spend(99, "192.0.2.1")


@pytest.mark.parametrize(("public_url", "codes"), [(HTTPS, {401}), (None, {401, 429})])
def test_behind_a_router_the_address_is_what_the_router_saw(
    services: Services, public_url: str | None, codes: set[int]
) -> None:
    app = web(services, public_url=public_url)
    base = public_url or "http://localhost"
    seen = set()
    for address in ("127.0.0.1", "203.0.113.1"):  # Who connects, and whom the sender made up: each has one try left.
        for number in range(throttle.FROM_ADDRESS - 1):
            throttle.spend(services.engine, services.clock.now(), f"v{number}@{address}.example", address)
    for number in range(3):
        client = app.test_client()
        data = {
            "email": f"u{number}@x.example",
            "password": "x",
            "csrf_token": form_token(client, SIGN_IN, base_url=base),
        }
        forwarded = {"X-Forwarded-For": f"203.0.113.1, 198.51.100.{number}"}
        seen.add(client.post(SIGN_IN, data=data, headers=forwarded, base_url=base).status_code)
    assert seen == codes, "without a router the header is whatever the sender made up"


def test_a_session_ends_unused_after_twelve_hours_and_used_after_seven_days(
    app: Flask, services: Services, clock: MovableClock, ann: User
) -> None:
    idle, used = at_home(app, services, ann), at_home(app, services, ann)
    clock.move(hours=11)
    assert in_(used)
    clock.move(hours=2)
    assert not in_(idle)
    for _ in range(14):
        assert in_(used)
        clock.move(hours=11)
    assert in_(used)
    clock.move(hours=2)
    assert not in_(used)
    sign_in(app.test_client(), ANN)
    assert one(services, "SELECT count(*) AS n FROM sessions")["n"] == 1, "what has run out is deleted"


def test_a_page_that_looks_often_writes_once_a_minute(
    app: Flask, services: Services, clock: MovableClock, ann: User
) -> None:
    client = at_home(app, services, ann)
    seen = set()
    for _ in range(60):
        clock.move(seconds=2)
        assert in_(client)
        seen.add(one(services, "SELECT seen_at FROM sessions")["seen_at"])
    assert len(seen) == 2


def test_a_disabled_user_is_out_with_the_next_request_and_nothing_of_theirs_comes_back(
    app: Flask, services: Services, ann: User
) -> None:
    client, path = at_home(app, services, ann), link_of(services, ann)
    person(services, "root@revpipe.example", "admin")
    assert in_(client)
    with transaction(services.engine) as tx:
        accounts.change(tx, services.clock.now(), ann.user_id, {"active": False})
    assert not in_(client)
    assert app.test_client().get(path).status_code == 410
    with transaction(services.engine) as tx:
        accounts.change(tx, services.clock.now(), ann.user_id, {"active": True})
    assert not in_(client)
    assert app.test_client().get(path).status_code == 410


def test_a_session_that_begins_while_its_user_is_disabled_lets_nobody_in_later(
    app: Flask, services: Services, ann: User
) -> None:
    now = services.clock.now()
    with transaction(services.engine) as tx:
        accounts.change(tx, now, ann.user_id, {"active": False})
    late = at_home(app, services, ann)
    with transaction(services.engine) as tx:
        accounts.change(tx, now, ann.user_id, {"active": True})
    assert not in_(late)


def test_a_link_shows_whom_it_signs_in_and_signs_in_once(app: Flask, services: Services, ann: User) -> None:
    path = link_of(services, ann)
    scanner = app.test_client()
    for _ in range(3):
        assert ANN in scanner.get(path).text
        assert scanner.head(path).status_code == 200
    client = app.test_client()
    assert post(client, path, path).status_code == 303
    assert in_(client)
    late = app.test_client()
    token = form_token(late, SIGN_IN)
    assert late.post(path, data={"csrf_token": token}).status_code == 410
    assert late.get(path).status_code == 410
    assert not in_(late)


def test_of_several_who_use_a_link_at_once_one_gets_in(services: Services, ann: User) -> None:
    token = link_of(services, ann).rsplit("/", 1)[-1]

    def use(_: int) -> bool:
        try:
            signing_in.by_link(services.engine, services.clock.now(), token, HERE)
        except SignInRefused:
            return False
        return True

    assert sorted(at_once(6, use)) == [False] * 5 + [True]
    assert one(services, "SELECT count(*) AS n FROM sessions")["n"] == 1


def test_a_new_link_ends_the_one_before_and_time_ends_each(
    app: Flask, services: Services, clock: MovableClock, ann: User
) -> None:
    first, second = link_of(services, ann), link_of(services, ann)
    assert [app.test_client().get(path).status_code for path in (first, second)] == [410, 200]
    clock.move(hours=25)
    assert app.test_client().get(second).status_code == 410


@pytest.fixture
def known(app: Flask, services: Services, ann: User) -> Any:
    """Ann's browser, and one of hers elsewhere."""
    return at_home(app, services, ann), at_home(app, services, ann)


def change(client: Any, **fields: str) -> TestResponse:
    wanted = {"current": PASSWORD, "wanted": OTHER, "again": OTHER, **fields}
    return post(client, "/console/account/password", ACCOUNT, **wanted)


def test_a_new_password_ends_every_other_session(app: Flask, known: Any) -> None:
    here, elsewhere = known
    assert change(here).location == "/console/account?done=password"
    assert (in_(here), in_(elsewhere)) == (True, False)
    assert sign_in(app.test_client(), ANN).status_code == 401
    assert sign_in(app.test_client(), ANN, OTHER).status_code == 303


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"current": WRONG}, "current password is wrong"),
        ({"current": ""}, "current password is wrong"),
        ({"again": "something else altogether"}, "differ"),
        ({"wanted": "short", "again": "short"}, "12 to 256"),
        ({"wanted": "x" * 257, "again": "x" * 257}, "12 to 256"),
        ({"wanted": "abababababab", "again": "abababababab"}, "5 different"),
    ],
)
def test_a_password_is_not_changed_by(app: Flask, known: Any, fields: dict[str, str], words: str) -> None:
    here, elsewhere = known
    refused = change(here, **fields)
    assert refused.status_code == 400
    assert words in refused.text
    assert in_(elsewhere)
    assert sign_in(app.test_client(), ANN).status_code == 303


def test_the_current_password_can_not_be_guessed_through_the_account_page(known: Any) -> None:
    here, _ = known
    codes = [change(here, current=WRONG).status_code for _ in range(throttle.OF_ACCOUNT + 1)]
    assert codes == [400] * throttle.OF_ACCOUNT + [429]


def test_who_forgot_their_password_sets_another_behind_a_link_while_that_is_fresh(
    app: Flask, services: Services, clock: MovableClock, ann: User
) -> None:
    client, path = app.test_client(), link_of(services, ann)
    post(client, path, path)
    assert 'name="current"' not in client.get(ACCOUNT).text
    assert change(client, current="").status_code == 303
    clock.move(hours=2)
    assert change(client, current="").status_code == 400


def test_a_session_of_ones_own_can_be_ended_and_no_other(app: Flask, services: Services, ann: User, known: Any) -> None:
    here, elsewhere = known
    bo = person(services, "bo@revpipe.example")
    theirs = at_home(app, services, bo)
    ids = {row["user_id"]: row["session_id"] for row in rows(services, "SELECT * FROM sessions ORDER BY created_at")}
    refused = post(here, f"/console/account/sessions/{ids[bo.user_id]}/end", ACCOUNT)
    assert (refused.status_code, in_(theirs)) == (404, True)
    assert post(here, "/console/account/sessions/end-others", ACCOUNT).status_code == 303
    assert (in_(here), in_(elsewhere), in_(theirs)) == (True, False, True)


def test_hashes_of_less_work_are_made_anew_at_the_next_sign_in(app: Flask, services: Services, ann: User) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    rows(services, "UPDATE users SET password_hash = :weak", weak=weak)
    assert sign_in(app.test_client(), ANN).status_code == 303
    assert "m=19456,t=2,p=1" in one(services, "SELECT password_hash FROM users")["password_hash"]
