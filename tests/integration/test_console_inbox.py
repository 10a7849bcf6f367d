"""The inbox by requests alone: every state it can be in, and what it answers to whom."""

import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from revpipe import approvals
from revpipe.db import make_engine
from revpipe.services import Services
from revpipe.web.app import create_app
from tests.integration.console_ground import COOKIE, approval_row, ask, session_of, speaker
from tests.integration.ledger_fixtures import FakeProvider, MovableClock, rows

DEAL = {"is_closed": False, "name": "Hooli, 40 seats", "amount": 5_000, "owner_id": "77"}
INBOX = "/console/approvals"


class Person:
    """A signed-in person with a browser that runs no script."""

    def __init__(self, services: Services, email: str, role: str, owner_id: str | None = None) -> None:
        self.client: FlaskClient = create_app(services).test_client()
        self.client.set_cookie(COOKIE, session_of(services, email, role, owner_id))

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers={"Accept": "text/html", **headers})

    def send(self, page: str, path: str, **fields: object) -> TestResponse:
        """Send a form with the token that `page` carries."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        assert token
        data = {"csrf_token": token[1], **fields}
        return self.client.post(path, data=data, headers={"Accept": "text/html"})


@pytest.fixture
def services(make_services: Callable[..., Services], clock: MovableClock) -> Services:
    return make_services(providers=(FakeProvider(clock, DEAL),))


@pytest.fixture
def ann(services: Services) -> Person:
    return Person(services, "ann@example.com", "operator")


def draft_of(services: Services, name: str = "a") -> uuid.UUID:
    return ask(services, name)[name]["draft_followup"]


def test_nothing_waits(ann: Person) -> None:
    answer = ann.get(INBOX)
    assert answer.status_code == 200
    assert "Nothing waits for you." in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_first_to_expire_is_on_top_and_beside_the_list(services: Services, ann: Person) -> None:
    ids = ask(services, "a", "b")
    sooner = "UPDATE approvals SET expires_at = expires_at - interval '1 hour' WHERE action_id = :id"
    rows(services, sooner, id=ids["b"]["draft_followup"])
    text = ann.get(INBOX).text
    listed = re.findall(r'id="row-([0-9a-f-]+)"', text)
    assert listed[0] == str(ids["b"]["draft_followup"])
    assert f'data-action="{listed[0]}"' in text
    assert len(listed) == 4
    assert "Hooli, 40 seats" in text


def test_looking_again_costs_nothing_while_nothing_changes(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    path = f"{INBOX}/queue?chosen={draft}&version=1&state=open"
    first = ann.get(path)
    assert first.status_code == 200
    mark = first.headers["ETag"]
    again = ann.get(path, **{"If-None-Match": mark})
    assert (again.status_code, again.data) == (304, b"")
    approvals.reject(services, draft, speaker(services), "no")
    changed = ann.get(path, **{"If-None-Match": mark})
    assert changed.status_code == 200
    assert f"row-{draft}" not in changed.text
    assert "Rejected by ben@example.com in Slack" in changed.text
    assert mark in unescape(ann.get(INBOX).text) or changed.headers["ETag"] != mark


def test_a_mark_of_somebody_else_is_none(services: Services, ann: Person) -> None:
    draft_of(services)
    mark = ann.get(f"{INBOX}/queue").headers["ETag"]
    ben = Person(services, "ben@example.com", "operator")
    assert ben.get(f"{INBOX}/queue", **{"If-None-Match": mark}).status_code == 200


def test_what_is_edited_is_told_of_once_it_is_stale(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    path = f"{INBOX}/standing?chosen={draft}&version=1&state=open"
    assert ann.get(path).status_code == 204
    approvals.edit(services, draft, speaker(services), 1, {"body": "other"})
    assert "Edited meanwhile by ben@example.com in Slack: this is version 1, the newest is 2" in ann.get(path).text
    approvals.approve(services, draft, speaker(services))
    assert "Approved by ben@example.com in Slack" in ann.get(path).text
    assert ann.get(f"{INBOX}/standing?chosen=nonsense").status_code == 204


def test_a_yes_goes_on_to_the_next(services: Services, ann: Person) -> None:
    ids = ask(services, "a")["a"]
    first, second = re.findall(r'id="row-([0-9a-f-]+)"', ann.get(INBOX).text)
    page = f"{INBOX}/{first}"
    answer = ann.send(page, f"{page}/approve", version=1)
    assert (answer.status_code, answer.location) == (303, f"{INBOX}/{second}")
    assert "Approved: " in ann.get(answer.location).text
    assert approval_row(services, uuid.UUID(first))["way"] == "console"
    answer = ann.send(f"{INBOX}/{second}", f"{INBOX}/{second}/reject", reason="Wrong time")
    assert answer.location == INBOX
    assert {str(one) for one in ids.values()} == {first, second}


def test_a_no_needs_a_reason(services: Services, ann: Person) -> None:
    page = f"{INBOX}/{draft_of(services)}"
    answer = ann.send(page, f"{page}/reject", reason="  ")
    assert answer.status_code == 422
    assert "Say why" in answer.text
    assert "data-action" in answer.text


def test_a_yes_to_no_version_is_none(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    answer = ann.send(f"{INBOX}/{draft}", f"{INBOX}/{draft}/approve")
    assert answer.status_code == 422
    assert approval_row(services, draft)["state"] == "open"


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_who_comes_too_late_reads_who_was_faster(services: Services, ann: Person, word: str) -> None:
    draft = draft_of(services)
    page = f"{INBOX}/{draft}"
    token = re.search(r'name="csrf_token" value="([^"]+)"', ann.get(page).text)
    assert token
    approvals.approve(services, draft, speaker(services))
    data = {"csrf_token": token[1], "version": "1", "reason": "no"}
    answer = ann.client.post(f"{page}/{word}", data=data, headers={"Accept": "text/html"})
    assert answer.status_code == 409
    assert "ben@example.com" in answer.text
    assert 'id="outcome"' in answer.text
    assert 'id="approve"' not in answer.text


def test_a_newer_version_is_shown_and_not_approved(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    approvals.edit(services, draft, speaker(services), 1, {"body": "the newer text"})
    answer = ann.send(f"{INBOX}/{draft}", f"{INBOX}/{draft}/approve", version=1)
    assert answer.status_code == 409
    assert "the newer text" in answer.text
    assert approval_row(services, draft)["state"] == "open"


def test_an_edit_is_a_version_with_its_diff(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    page = f"{INBOX}/{draft}/edit"
    fields = {"version": 1, "subject": "a", "body": "b and c"}
    shown = ann.send(page, page, show="1", **fields)
    assert '<ins><span class="unseen">[added: </span> and c' in shown.text
    assert approval_row(services, draft)["version"] == 1
    answer = ann.send(page, page, save="1", **fields)
    assert answer.location == f"{INBOX}/{draft}"
    text = ann.get(answer.location).text
    assert "Version 2, by ann@example.com in the console" in text
    assert '<ins><span class="unseen">[added: </span> and c' in text


def test_an_edit_can_be_approved_at_once(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    page = f"{INBOX}/{draft}/edit"
    assert ann.send(page, page, approve="1", version=1, subject="a", body="mine").status_code == 303
    row = approval_row(services, draft)
    assert (row["state"], row["version"]) == ("approved", 2)
    (action,) = rows(services, "SELECT params FROM actions WHERE action_id = :id", id=draft)
    assert action["params"]["body"] == "mine"


def test_a_bad_edit_says_what_is_wrong_and_keeps_what_was_typed(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    page = f"{INBOX}/{draft}/edit"
    answer = ann.send(page, page, save="1", version=1, subject="two\r\nlines", body="kept text")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "kept text" in answer.text
    assert approval_row(services, draft)["version"] == 1


def test_an_edit_of_an_older_version_is_refused(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    approvals.edit(services, draft, speaker(services), 1, {"body": "newer"})
    page = f"{INBOX}/{draft}/edit"
    answer = ann.send(page, page, save="1", version=1, subject="a", body="mine")
    assert answer.status_code == 409
    assert "mine" in answer.text
    assert "Edited meanwhile by ben@example.com" in answer.text


def test_an_edit_of_an_older_version_may_be_put_on_the_newest_once_it_was_seen_against_it(
    services: Services, ann: Person
) -> None:
    draft = draft_of(services)
    approvals.edit(services, draft, speaker(services), 1, {"body": "newer"})
    page = f"{INBOX}/{draft}/edit"
    refused = ann.send(page, page, save="1", version=1, body="mine")
    assert re.search(r"<del>.*newer.*</del><ins>.*mine.*</ins>", refused.text)
    assert 'name="onto" value="2"' in refused.text
    shown = ann.send(page, page, onto="2", version=1, body="mine")
    assert shown.status_code == 200
    assert re.search(r"<del>.*newer.*</del><ins>.*mine.*</ins>", shown.text)
    assert 'name="version" value="2"' in shown.text
    assert 'name="onto"' not in shown.text
    assert approval_row(services, draft)["version"] == 2
    assert ann.send(page, page, save="1", version=2, body="mine").status_code == 303
    assert approval_row(services, draft)["version"] == 3


def test_an_edit_that_does_not_say_what_it_was_begun_on_is_kept_by_nobody(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    page = f"{INBOX}/{draft}/edit"
    for version in ("", "x", "\0"):
        answer = ann.send(page, page, save="1", approve="1", version=version, body="mine")
        assert answer.status_code == 422
        assert "mine" in answer.text
    row = approval_row(services, draft)
    assert (row["version"], row["state"]) == (1, "open")


def test_what_is_decided_is_edited_no_more(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    approvals.approve(services, draft, speaker(services))
    answer = ann.get(f"{INBOX}/{draft}/edit")
    assert (answer.status_code, answer.location) == (303, f"{INBOX}/{draft}")


def test_html_in_a_draft_is_text(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    bad = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"; DROP TABLE approvals; --"
    approvals.edit(services, draft, speaker(services), 1, {"body": bad, "subject": "<b>hi</b>"})
    for path in (INBOX, f"{INBOX}/{draft}", f"{INBOX}/{draft}/edit", f"/console/signals/{draft}"):
        text = ann.client.get(path, follow_redirects=True, headers={"Accept": "text/html"}).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<b>hi" not in text
    assert bad in unescape(ann.get(f"{INBOX}/{draft}").text)


def test_a_very_long_draft_is_shown_in_part(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    approvals.edit(services, draft, speaker(services), 1, {"body": "long " * 9_000})
    text = ann.get(f"{INBOX}/{draft}").text
    assert "25,000 more characters" in text
    assert len(text) < 400_000


def test_equal_ones_of_low_risk_are_approved_together(services: Services, ann: Person) -> None:
    ids = {name: one["update_crm"] for name, one in ask(services, "a", "b", "c").items()}
    page = f"{INBOX}/{ids['a']}/alike"
    text = ann.get(page).text
    assert text.count('name="ticked"') == 3
    approvals.reject(services, ids["c"], speaker(services), "no")
    ticked = [f"{one}:1" for one in ids.values()] + ["nonsense", f"{ids['a']}:x"]
    answer = ann.send(page, page, ticked=ticked)
    assert "2 of 3 approved" in answer.text
    assert "ben@example.com" in answer.text
    assert [approval_row(services, one)["state"] for one in ids.values()] == ["approved", "approved", "rejected"]


def test_what_is_edited_or_of_higher_risk_is_like_no_other(services: Services, ann: Person) -> None:
    ids = {name: one["update_crm"] for name, one in ask(services, "a", "b").items()}
    rows(services, "UPDATE approvals SET risk = 'high' WHERE action_id = :id", id=ids["b"])
    answer = ann.get(f"{INBOX}/{ids['a']}/alike")
    assert (answer.status_code, answer.location) == (303, f"{INBOX}/{ids['a']}")
    answer = ann.send(f"{INBOX}/{ids['a']}", f"{INBOX}/{ids['a']}/alike", ticked=[f"{ids['b']}:1"])
    assert "not of low risk" in answer.text
    assert approval_row(services, ids["b"])["state"] == "open"


def test_a_rep_sees_and_decides_their_own(services: Services) -> None:
    draft = draft_of(services)
    theirs = Person(services, "rep@example.com", "rep", "77")
    other = Person(services, "other@example.com", "rep", "88")
    assert f"row-{draft}" in theirs.get(INBOX).text
    assert f"row-{draft}" not in other.get(INBOX).text
    page = f"{INBOX}/{draft}"
    for path in (page, f"{page}/edit", f"{page}/alike", f"/console/signals/{draft}"):
        answer = other.client.get(path, follow_redirects=True, headers={"Accept": "text/html"})
        assert answer.status_code == 404, path
        assert "Hooli" not in answer.text
    assert other.send(INBOX, f"{page}/approve", version=1).status_code == 404
    assert approval_row(services, draft)["state"] == "open"
    assert theirs.send(page, f"{page}/approve", version=1).status_code == 303
    assert approval_row(services, draft)["decided_by"] == "rep@example.com"


def test_a_viewer_looks_and_does_not_decide(services: Services) -> None:
    draft = draft_of(services)
    viewer = Person(services, "viewer@example.com", "viewer")
    text = viewer.get(f"{INBOX}/{draft}").text
    assert "not yours to decide" in text
    assert 'id="approve"' not in text
    assert viewer.send(INBOX, f"{INBOX}/{draft}/approve", version=1).status_code == 403
    assert viewer.get(f"{INBOX}/{draft}/edit").status_code == 403


def test_seen_by_whom_it_was_asked_it_is_delivered(services: Services) -> None:
    draft = draft_of(services)
    assert approval_row(services, draft)["seen_at"] is None
    Person(services, "ann@example.com", "operator").get(f"{INBOX}/{draft}")
    assert approval_row(services, draft)["seen_at"] is not None


def test_what_is_not_there(services: Services, ann: Person) -> None:
    answer = ann.get(f"{INBOX}/{uuid.uuid4()}")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "no such request" in answer.text
    assert ann.get("/console/nowhere").mimetype == "text/html"
    plain = ann.client.get("/console/nowhere", headers={"Accept": "application/json"})
    assert plain.mimetype == "application/problem+json"
    assert ann.get(f"{INBOX}/{uuid.uuid4()}/approve").status_code == 405


def test_while_the_ledger_is_away_the_page_says_so(services: Services) -> None:
    away = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    lost = create_app(replace(services, engine=away)).test_client()
    lost.set_cookie(COOKIE, "any")
    answer = lost.get(INBOX, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "Nothing was decided and nothing is lost" in answer.text


def test_what_follows_is_told_as_policy_would_do_it_now(services: Services, ann: Person) -> None:
    update = ask(services, "a")["a"]["update_crm"]
    assert "then it goes to the stand-in or an operator" in ann.get(INBOX).text
    # Ann is one of those who were asked, and has it before her eyes now.
    assert "then policy carries it out" in ann.get(f"{INBOX}/{update}").text
    rows(services, "UPDATE approvals SET planned_by = 'llm' WHERE action_id = :id", id=update)
    assert "then it is rejected" in ann.get(f"{INBOX}/{update}").text
    rows(services, "UPDATE approvals SET planned_by = 'rules', risk = 'high' WHERE action_id = :id", id=update)
    assert "then it ends without effect" in ann.get(f"{INBOX}/{update}").text


def test_what_a_page_cuts_is_approved_where_all_of_it_can_be_read(services: Services, ann: Person) -> None:
    draft = draft_of(services)
    approvals.edit(services, draft, speaker(services), 1, {"body": "long " * 9_000})
    page = f"{INBOX}/{draft}"
    assert 'id="approve"' not in ann.get(page).text
    assert "Press Edit to read all of it" in ann.get(page).text
    assert "long " * 9_000 in ann.get(f"{page}/edit").text
    answer = ann.send(f"{page}/edit", f"{page}/edit", approve="1", version=2)
    assert answer.status_code == 303
    assert approval_row(services, draft)["state"] == "approved"


def test_a_mark_of_before_another_role_is_none(services: Services) -> None:
    draft_of(services)
    rep = Person(services, "rep@example.com", "rep", "77")
    first = rep.get(f"{INBOX}/queue")
    assert "row-" in first.text
    rows(services, "UPDATE users SET owner_id = '88' WHERE email = 'rep@example.com'")
    again = rep.get(f"{INBOX}/queue", **{"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    assert "row-" not in again.text
