"""Requests by e-mail: to look decides nothing, to post decides once, and only what the mail was about."""

import re
import uuid
from dataclasses import replace
from typing import Any

import pytest

from adapters.sandbox import wire
from revpipe import approvals
from tests.integration.ledger_fixtures import MovableClock, at_once, person, rows
from tests.integration.messenger_fixtures import DANA, SAM, Workspace, far_side, requests, workspace
from tests.integration.people_fixtures import approval, user

__all__ = ["far_side", "workspace"]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def post_only(workspace: Workspace) -> Workspace:
    """A team without Slack."""
    settings = replace(workspace.services.settings, slack_bot_token=None)
    workspace.services = replace(workspace.services, settings=settings)
    workspace.app.extensions["revpipe"] = workspace.services
    user(workspace.services, DANA, owner_id="o-1")
    return workspace


def letters_of(workspace: Workspace, action_id: uuid.UUID) -> list[dict[str, Any]]:
    keys = [str(row["request_id"]) for row in requests(workspace.services) if row["action_id"] == action_id]
    return [one for one in workspace.letters() if any(key in dict(one["headers"])["Message-ID"] for key in keys)]


def token_in(letter: dict[str, Any]) -> str:
    found = re.search(r"http://revpipe\.example/a/(\S+)", letter["text"])
    assert found, letter["text"]
    return found.group(1)


def ask(workspace: Workspace, name: str = "a") -> tuple[uuid.UUID, str]:
    """Have a draft wait for Dana; returns its action and her token."""
    action_id = workspace.ask(name)
    workspace.tell()
    (letter,) = letters_of(workspace, action_id)
    return action_id, token_in(letter)


def get(workspace: Workspace, token: str, method: str = "GET") -> wire.Answer:
    return wire.send(method, f"{workspace.url}/a/{token}")


def decide(workspace: Workspace, token: str, body: bytes = b"decision=approve") -> wire.Answer:
    return wire.send("POST", f"{workspace.url}/a/{token}", body, FORM)


def state(workspace: Workspace, action_id: uuid.UUID) -> tuple[str, str | None, str | None]:
    row = approval(workspace.services, action_id)
    return row["state"], row["decided_by"], row["way"]


def test_the_letter_tells_what_is_asked_and_where_to_answer(post_only: Workspace) -> None:
    action_id, _ = ask(post_only)
    (letter,) = letters_of(post_only, action_id)
    headers = dict(letter["headers"])
    assert (letter["from"], letter["to"]) == ("approvals@revpipe.example", [DANA])
    assert headers["To"] == DANA
    assert headers["Auto-Submitted"] == "auto-generated"
    view = post_only.view(action_id)
    for wanted in (view.params["subject"], view.why, "Hooli"):
        assert wanted in letter["text"]
    assert "<https://evil.example" not in letter["html"]
    assert "<!channel>" not in letter["html"]
    # That the server took it proves nothing, and on that nothing may go out unanswered.
    assert approval(post_only.services, action_id)["delivered_at"] is None


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_to_look_decides_nothing_however_often(post_only: Workspace, method: str) -> None:
    action_id, token = ask(post_only)
    for _ in range(3):
        answer = get(post_only, token, method)
        assert answer.status == 200
    assert state(post_only, action_id)[0] == "open"
    assert approval(post_only.services, action_id)["seen_at"] is None
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]


def test_the_page_shows_texts_as_texts(post_only: Workspace) -> None:
    _, token = ask(post_only)
    page = get(post_only, token).body.decode()
    assert "&lt;!channel&gt;" in page
    assert "<https://evil" not in page
    assert "<script" not in page


def test_a_post_decides_once(post_only: Workspace) -> None:
    action_id, token = ask(post_only)
    answer = decide(post_only, token)
    assert answer.status == 200
    assert f"Approved by {DANA} by email" in answer.body.decode()
    assert state(post_only, action_id) == ("approved", DANA, "email")
    used = rows(post_only.services, "SELECT used_for FROM one_time_tokens WHERE action_id = :id", id=action_id)
    assert used == [{"used_for": "approve"}]
    again = decide(post_only, token, b"decision=reject&reason=no")
    assert again.status == 409
    assert "Nothing was done" in again.body.decode()
    assert state(post_only, action_id)[0] == "approved"


def test_reject_keeps_the_reason(post_only: Workspace) -> None:
    action_id, token = ask(post_only)
    assert decide(post_only, token, b"decision=reject&reason=Wrong+person").status == 200
    row = approval(post_only.services, action_id)
    assert (row["state"], row["reason"], row["way"]) == ("rejected", "Wrong person", "email")


def test_double_clicks_count_once(post_only: Workspace) -> None:
    action_id, token = ask(post_only)
    answers = at_once(6, lambda _: decide(post_only, token).status)
    assert sorted(answers) == [200] + [409] * 5
    assert state(post_only, action_id)[0] == "approved"
    done = rows(post_only.services, "SELECT 1 FROM trail WHERE what = 'approved' AND action_id = :id", id=action_id)
    assert len(done) == 1


@pytest.mark.parametrize("body", [b"", b"decision=", b"decision=maybe", b"x=1"])
def test_a_post_that_says_neither_decides_nothing(post_only: Workspace, body: bytes) -> None:
    action_id, token = ask(post_only)
    assert decide(post_only, token, body).status == 400
    assert state(post_only, action_id)[0] == "open"


@pytest.mark.parametrize("token", ["x", "a" * 43, "a" * 5000, "%ED%A0%80", "..%2f..", "'%20OR%201=1--"])
def test_a_token_that_was_never_given_out_leads_nowhere(post_only: Workspace, token: str) -> None:
    action_id, _ = ask(post_only)
    assert get(post_only, token).status in (404, 308, 400)
    assert decide(post_only, token).status in (404, 409, 400, 308)
    assert state(post_only, action_id)[0] == "open"


def test_a_token_is_of_its_own_action_only(post_only: Workspace) -> None:
    """There is nothing in the request that names an action: whatever else is sent is not read."""
    first, token = ask(post_only, "a")
    second, _ = ask(post_only, "b")
    body = f"decision=approve&action_id={second}&version=1".encode()
    assert decide(post_only, token, body).status == 200
    assert (state(post_only, first)[0], state(post_only, second)[0]) == ("approved", "open")


def test_after_an_edit_the_old_link_sends_nothing_and_a_new_letter_comes(post_only: Workspace) -> None:
    action_id, token = ask(post_only)
    approvals.edit(post_only.services, action_id, person("robin@host"), 1, {"subject": "Other words"})
    page = get(post_only, token)
    assert "It was edited since this link was sent" in page.body.decode()
    assert "<form" not in page.body.decode()
    assert decide(post_only, token).status == 409
    assert state(post_only, action_id)[0] == "open"
    post_only.tell()
    first, second = letters_of(post_only, action_id)
    assert "Other words" in second["text"]
    assert dict(first["headers"])["Message-ID"] != dict(second["headers"])["Message-ID"]
    assert decide(post_only, token_in(second)).status == 200
    assert state(post_only, action_id)[0] == "approved"


def test_what_was_decided_elsewhere_is_told_and_writes_no_letter(post_only: Workspace) -> None:
    action_id, token = ask(post_only)
    approvals.reject(post_only.services, action_id, person("robin@host"), "no budget")
    post_only.tell()
    assert len(letters_of(post_only, action_id)) == 1
    assert "Rejected by robin@host by cli" in get(post_only, token).body.decode()
    assert decide(post_only, token).status == 409


def test_after_its_time_a_link_decides_nothing_and_then_leads_nowhere(
    post_only: Workspace, clock: MovableClock
) -> None:
    action_id, token = ask(post_only)
    rows(post_only.services, "UPDATE approvals SET on_expiry = 'expire'")
    clock.move(hours=25)
    approvals.expire_due(post_only.services)
    assert "Expired" in get(post_only, token).body.decode()
    assert decide(post_only, token).status == 409
    assert state(post_only, action_id)[0] == "expired"
    clock.move(days=8)
    assert get(post_only, token).status == 404


def test_whoever_was_disabled_meanwhile_decides_nothing(post_only: Workspace) -> None:
    action_id, token = ask(post_only)
    rows(post_only.services, "UPDATE users SET active = false")
    assert decide(post_only, token).status == 404
    assert state(post_only, action_id)[0] == "open"


def test_whoever_was_disabled_meanwhile_is_shown_nothing(post_only: Workspace) -> None:
    _, token = ask(post_only)
    assert "Hooli" in get(post_only, token).body.decode()
    rows(post_only.services, "UPDATE users SET active = false")
    answer = get(post_only, token)
    assert answer.status == 404
    assert "Hooli" not in answer.body.decode()
    assert "no user here any more" in answer.body.decode()


def test_only_the_hash_of_a_token_is_kept(post_only: Workspace) -> None:
    _, token = ask(post_only)
    for table in ("one_time_tokens", "approval_requests", "trail"):
        assert token not in str(rows(post_only.services, f"SELECT * FROM {table}"))


def test_everybody_of_a_role_gets_a_link_of_their_own(workspace: Workspace) -> None:
    settings = replace(workspace.services.settings, slack_bot_token=None)
    workspace.services = replace(workspace.services, settings=settings)
    workspace.app.extensions["revpipe"] = workspace.services
    for email in (DANA, SAM):
        user(workspace.services, email, "operator")
    action_id = workspace.ask()
    workspace.tell()
    letters = letters_of(workspace, action_id)
    assert sorted(letter["to"] for letter in letters) == [[DANA], [SAM]]
    tokens = [token_in(letter) for letter in letters]
    assert sorted(at_once(2, lambda number: decide(workspace, tokens[number]).status)) == [200, 409]


def test_a_mail_server_that_breaks_off_gets_the_letter_once_more_under_one_name(
    post_only: Workspace, clock: MovableClock
) -> None:
    post_only.control.knobs(mail={"cut_off": 1})
    post_only.ask()
    for _ in range(4):
        post_only.tell()
        clock.move(minutes=2)
    found = [dict(one["headers"])["Message-ID"] for one in post_only.letters()]
    assert len(found) == 3
    assert len(set(found)) == 2


def test_an_address_that_the_server_refuses_is_undeliverable(post_only: Workspace) -> None:
    post_only.control.knobs(mail={"refuse_with": 550})
    action_id = post_only.ask()
    post_only.tell()
    (row,) = [one for one in requests(post_only.services) if one["action_id"] == action_id]
    assert (row["state"], row["reason"]) == ("undeliverable", "permanent")
    assert approval(post_only.services, action_id)["delivered_at"] is None
