"""The overview and the causal page by requests alone."""

import re
import uuid
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from revpipe import window
from revpipe.db import transaction
from revpipe.keeper import Keeper
from revpipe.services import Services
from revpipe.web.app import create_app
from tests.integration.console_ground import COOKIE, ask, session_of
from tests.integration.ledger_fixtures import MovableClock, call, one, put, rows, run_act, run_to, signal_id

PAGE = {"Accept": "text/html"}


@pytest.fixture
def client(services: Services) -> FlaskClient:
    made = create_app(services).test_client()
    made.set_cookie(COOKIE, session_of(services, "ann@example.com", "operator"))
    return made


def kept(services: Services) -> window.Kept:
    with transaction(services.engine) as tx:
        return window.kept(tx, services.clock.now())


def test_the_window_counts_actions_done_or_asked_for_in_time(services: Services, clock: MovableClock) -> None:
    assert kept(services).share is None
    put(services, call("done"))
    run_to(services, "execute")
    run_act(services)
    ask(services, "asked")
    found = kept(services)
    assert (found.actions, found.late, found.share) == (4, 0, 1.0)
    clock.move(hours=2)
    assert kept(services).late == 0
    put(services, call("stuck", "d5"))
    run_to(services, "decide")
    assert kept(services).actions == 4
    clock.move(minutes=16)
    found = kept(services)
    assert (found.actions, found.late) == (6, 2)


def test_what_was_called_off_before_anybody_was_asked_counts_for_nothing(services: Services) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    rows(services, "UPDATE actions SET state = 'cancelled', queue = NULL")
    assert kept(services).actions == 0


def test_the_overview(services: Services, client: FlaskClient) -> None:
    assert "has never run" in client.get("/console/", headers=PAGE).text
    put(services, call("a"))
    ask(services, "b")
    run_to(services, "execute")
    Keeper(services).round()
    text = " ".join(client.get("/console/", headers=PAGE).text.split())
    assert "has never run" not in text
    assert re.search(r'<span class="figure[^>]*>2</span> wait for a person', text)
    assert re.search(r"1 waiting for a person", text)
    assert "Hooli" not in text


def test_the_overview_tells_a_rep_that_not_all_that_waits_is_theirs(services: Services, client: FlaskClient) -> None:
    ask(services, "b")
    rep = create_app(services).test_client()
    rep.set_cookie(COOKIE, session_of(services, "rae@example.com", "rep", "o-9"))
    assert "for a person, on anybody&#39;s deals" in rep.get("/console/", headers=PAGE).text
    assert "on anybody" not in client.get("/console/", headers=PAGE).text


def test_ids_of_other_things_lead_to_the_signal(services: Services, client: FlaskClient) -> None:
    action = ask(services, "a")["a"]["draft_followup"]
    row = one(services, "SELECT * FROM signals WHERE signal_id = :id", id=signal_id("a"))
    for name in (action, row["delivery_id"], row["correlation_id"]):
        answer = client.get(f"/console/signals/{name}", headers=PAGE)
        assert (answer.status_code, answer.location) == (303, f"/console/signals/{signal_id('a')}")
    for name in (uuid.uuid4(), "nothing", "%00", "x" * 3_000):
        assert client.get(f"/console/signals/{name}", headers=PAGE).status_code == 404


def test_the_causal_page_tells_of_everything(services: Services, client: FlaskClient) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    text = client.get(f"/console/signals/{signal_id('a')}", headers=PAGE).text
    for told in ("/webhooks/fake", "&#34;deal&#34;: &#34;d1&#34;", "size(signal.competitors) &gt; 0", "Initech",
                 "Hooli, 40 seats", "missing: no association", "x-", "settled", "do not listen"):  # fmt: skip
        assert told in text, told


def test_a_signal_that_is_not_decided_yet_has_a_page(services: Services, client: FlaskClient) -> None:
    put(services, call("a"))
    answer = client.get(f"/console/signals/{signal_id('a')}", headers=PAGE)
    assert answer.status_code == 200
    assert "Nothing is decided yet." in answer.text


def test_why_not(services: Services, client: FlaskClient) -> None:
    put(services, call("a", payload={"competitors": [], "call_id": "a"}))
    run_to(services, "execute")
    page = f"/console/signals/{signal_id('a')}"
    assert f'href="{page}/why-not/rival"' in client.get(page, headers=PAGE).text
    text = client.get(f"{page}/why-not/rival", headers=PAGE).text
    assert "signal.competitors" in text
    assert client.get(f"{page}/why-not/no-such-rule", headers=PAGE).status_code == 404
    fired = client.get(f"{page}/why-not/quiet-call", headers=PAGE)
    assert "did fire" in fired.text


@pytest.mark.parametrize("role", ["viewer", "rep", "operator", "admin"])
def test_the_bar_shows_what_one_may_see(services: Services, role: str) -> None:
    client = create_app(services).test_client()
    client.set_cookie(COOKIE, session_of(services, f"{role}@example.com", role))
    text = client.get("/console/", headers=PAGE).text
    assert 'href="/console/approvals"' in text
    assert f">{role}</a>" in text
    assert 'aria-current="page">Overview' in text


def test_static_files_are_kept_by_their_hash(client: FlaskClient) -> None:
    text = client.get("/console/", headers=PAGE).text
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
    assert len(found) >= 5
    for path in found:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert client.get(found[0].partition("?")[0]).headers["Cache-Control"] == "no-cache"
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/none.css").status_code == 404


def test_pages_hold_no_script_and_no_style(services: Services, client: FlaskClient) -> None:
    draft = ask(services, "a")["a"]["draft_followup"]
    pages: list[str] = ["/console/", "/console/approvals", f"/console/approvals/{draft}/edit", "/console/account"]
    check: Callable[[str], list[str]] = re.compile(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=").findall
    for path in pages:
        answer = client.get(path, headers=PAGE)
        assert check(answer.text) == [], path
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
