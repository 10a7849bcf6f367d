"""Buttons and forms in Slack, pressed over real HTTP: whose word counts, once, and about what they saw."""

import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.sandbox import signing, wire
from revpipe import approvals
from revpipe.notifying import slack_people
from tests.integration.ledger_fixtures import MovableClock, at_once, person, rows, run_recheck
from tests.integration.messenger_fixtures import (
    CHANNEL,
    DANA,
    SAM,
    Workspace,
    buttons,
    far_side,
    requests,
    workspace,
)
from tests.integration.people_fixtures import approval, user

__all__ = ["far_side", "workspace"]

SECRET = "sandbox-signing-secret"


@pytest.fixture
def asked(workspace: Workspace) -> Any:
    """A draft that waits for Dana, in her direct channel."""
    user(workspace.services, DANA, owner_id="o-1")
    action_id = workspace.ask()
    workspace.tell()
    return action_id


def payload(action_id: Any, **more: Any) -> dict[str, Any]:
    """A press of Approve by Dana, as Slack would send it."""
    return {
        "type": "block_actions",
        "user": {"id": "U0DANA001", "team_id": "T0SANDBOX"},
        "team": {"id": "T0SANDBOX"},
        "api_app_id": "A0REVPIPE",
        "channel": {"id": CHANNEL},
        "actions": [{"type": "button", "action_id": "revpipe.approve", "value": f"{action_id}:1"}],
        **more,
    }


def post(workspace: Workspace, said: Any, secret: str = SECRET, age: int = 0, headers: Any = None) -> wire.Answer:
    body = said if isinstance(said, bytes) else urlencode({"payload": json.dumps(said)}).encode()
    signed = signing.slack_headers(secret, body, int(time.time()) - age)
    return wire.send("POST", f"{workspace.url}/webhooks/slack/interactions", body, signed | (headers or {}))


def state(workspace: Workspace, action_id: Any) -> tuple[str, str | None, str | None]:
    row = approval(workspace.services, action_id)
    return row["state"], row["decided_by"], row["way"]


def test_approve_is_the_persons_word_and_the_message_says_so(workspace: Workspace, asked: Any) -> None:
    answer = workspace.press(asked, "approve")
    assert (answer["status"], answer["body"]) == (200, "")
    assert state(workspace, asked) == ("approved", DANA, "slack")
    workspace.tell()
    message = workspace.message(asked)
    assert buttons(message) == ["open"]
    assert f"Approved by {DANA} by slack" in message["text"]
    run_recheck(workspace.services)


def test_a_double_click_counts_once_and_the_second_is_told(workspace: Workspace, asked: Any) -> None:
    message = workspace.message(asked)
    answers = at_once(4, lambda _: workspace.press_at(message, "approve"))
    assert {answer["status"] for answer in answers} == {200}
    assert state(workspace, asked) == ("approved", DANA, "slack")
    workspace.tell()
    assert len(workspace.whispers()) == 3
    assert all(text.startswith("Too late: Approved by") for text in workspace.whispers())
    done = rows(workspace.services, "SELECT 1 FROM trail WHERE what = 'approved' AND action_id = :id", id=asked)
    assert len(done) == 1


@pytest.mark.parametrize("bad", ["\0", "\ud800", "\u2028", {"id": "U0DANA001"}])
def test_what_can_be_no_id_of_slack_is_nobodys_and_no_fault(workspace: Workspace, asked: Any, bad: Any) -> None:
    for more in (
        {"user": {"id": bad, "team_id": "T0SANDBOX"}},
        {"user": {"id": "U0DANA001", "team_id": bad}},
        {"user": {"id": "U0SAM0001", "team_id": "T0SANDBOX"}, "channel": {"id": bad}},
    ):
        assert post(workspace, payload(asked, **more)).status == 200
    assert state(workspace, asked)[0] == "open"


@pytest.mark.parametrize("button", ["approve", "edit", "reject"])
def test_a_stale_button_says_what_happened_meanwhile(workspace: Workspace, asked: Any, button: str) -> None:
    message = workspace.message(asked)
    approvals.reject(workspace.services, asked, person("robin@host"), "no budget")
    answer = workspace.press_at(message, button)
    assert (answer["status"], answer["view"]) == (200, None)
    workspace.tell()
    (told,) = workspace.whispers()
    assert told.startswith("Too late: Rejected by robin@host by cli")
    assert "no budget" in told
    assert state(workspace, asked)[0] == "rejected"


@pytest.mark.parametrize("button", ["approve", "edit", "reject"])
def test_a_button_of_a_text_that_was_edited_sends_nothing(workspace: Workspace, asked: Any, button: str) -> None:
    message = workspace.message(asked)
    approvals.edit(workspace.services, asked, person("robin@host"), 1, {"subject": "Other words"})
    answer = workspace.press_at(message, button)
    assert answer["view"] is None
    workspace.tell()
    assert "edited since you saw it" in workspace.whispers()[0]
    assert state(workspace, asked)[0] == "open"


def test_after_expiry_a_button_has_no_effect(workspace: Workspace, asked: Any, clock: MovableClock) -> None:
    message = workspace.message(asked)
    rows(workspace.services, "UPDATE approvals SET on_expiry = 'expire'")
    clock.move(days=30)
    approvals.expire_due(workspace.services)
    clock.move(days=-30)
    workspace.press_at(message, "approve")
    workspace.tell()
    assert state(workspace, asked)[0] == "expired"
    assert workspace.whispers()[0].startswith("Too late: Expired")


def test_edit_opens_a_form_and_sending_it_edits_and_approves(workspace: Workspace, asked: Any) -> None:
    view = workspace.press(asked, "edit")["view"]
    inputs = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    assert set(inputs) == {"param:to", "param:subject", "param:body"}
    params = workspace.view(asked).params
    assert inputs["param:body"]["initial_value"] == params["body"]
    answer = workspace.submit(view, {"param:subject": "A better subject"})
    assert (answer["status"], answer["body"]) == (200, "")
    assert state(workspace, asked) == ("approved", DANA, "slack")
    found = workspace.view(asked)
    assert found.params == {**params, "subject": "A better subject"}
    assert [(one["version"], one["way"]) for one in found.versions] == [(1, "policy"), (2, "slack")]


def test_a_form_sent_unchanged_makes_no_version(workspace: Workspace, asked: Any) -> None:
    view = workspace.press(asked, "edit")["view"]
    assert workspace.submit(view, {})["body"] == ""
    assert (state(workspace, asked)[0], workspace.view(asked).version) == ("approved", 1)


@pytest.mark.parametrize("text", ["", "a" * 600])
def test_a_bad_edit_is_told_at_its_input_and_nothing_is_sent(workspace: Workspace, asked: Any, text: str) -> None:
    view = workspace.press(asked, "edit")["view"]
    answer = workspace.submit(view, {"param:subject": text})
    assert answer["told"]["response_action"] == "errors"
    assert list(answer["told"]["errors"]) == ["param:subject"]
    assert (state(workspace, asked)[0], workspace.view(asked).version) == ("open", 1)


def test_header_injection_in_a_subject_is_refused(workspace: Workspace, asked: Any) -> None:
    view = workspace.press(asked, "edit")["view"]
    answer = workspace.submit(view, {"param:subject": "a\r\nBcc: x@evil.example"})
    assert list(answer["told"]["errors"]) == ["param:subject"]
    assert workspace.view(asked).version == 1


def test_a_form_that_came_too_late_turns_into_what_happened(workspace: Workspace, asked: Any) -> None:
    view = workspace.press(asked, "edit")["view"]
    approvals.reject(workspace.services, asked, person("robin@host"))
    answer = workspace.submit(view, {"param:subject": "A better subject"})
    assert answer["told"]["response_action"] == "update"
    assert "Rejected by robin@host" in json.dumps(answer["told"])
    assert state(workspace, asked)[0] == "rejected"


def test_a_form_about_an_older_version_is_refused(workspace: Workspace, asked: Any) -> None:
    view = workspace.press(asked, "edit")["view"]
    approvals.edit(workspace.services, asked, person("robin@host"), 1, {"subject": "Other words"})
    answer = workspace.submit(view, {"param:subject": "Mine"})
    assert "edited since you saw it" in json.dumps(answer["told"])
    assert workspace.view(asked).params["subject"] == "Other words"


def test_reject_asks_for_the_reason(workspace: Workspace, asked: Any) -> None:
    view = workspace.press(asked, "reject")["view"]
    assert workspace.submit(view, {"reason": "They went silent"})["body"] == ""
    row = approval(workspace.services, asked)
    assert (row["state"], row["decided_by"], row["reason"]) == ("rejected", DANA, "They went silent")


def test_another_reps_deal_is_not_ones_own(workspace: Workspace, asked: Any) -> None:
    user(workspace.services, SAM, owner_id="o-2")
    workspace.services = replace(workspace.services)
    rows(
        workspace.services,
        "INSERT INTO slack_users (email, team_id, slack_id, place, looked_at) VALUES (:email, 'T0SANDBOX', 'U0SAM0001',"
        " 'D0SAM0001', now())",
        email=SAM,
    )
    for button in ("approve", "edit", "reject"):
        assert workspace.press(asked, button, SAM)["view"] is None
    workspace.tell()
    assert [text[:30] for text in workspace.whispers()] == ["You can't decide on this: this"] * 3
    assert state(workspace, asked)[0] == "open"


def test_whoever_was_disabled_decides_nothing(workspace: Workspace, asked: Any) -> None:
    rows(workspace.services, "UPDATE users SET active = false")
    workspace.press(asked, "approve")
    workspace.tell()
    assert "revpipe knows no user" in workspace.whispers()[0]
    assert state(workspace, asked)[0] == "open"


def test_in_a_channel_whoever_is_no_user_is_told_so(workspace: Workspace) -> None:
    user(workspace.services, DANA, "operator")
    action_id = workspace.ask()
    workspace.tell()
    assert workspace.message(action_id)["channel"] == CHANNEL
    workspace.press(action_id, "approve", SAM)
    workspace.tell()
    assert "revpipe knows no user" in workspace.whispers()[0]
    # Dana was looked up when it was sent: her press asks Slack nothing.
    calls = len(rows(workspace.services, "SELECT 1 FROM slack_users WHERE slack_id IS NOT NULL"))
    assert calls == 1
    workspace.press(action_id, "approve", DANA)
    assert state(workspace, action_id) == ("approved", DANA, "slack")


def test_an_unconfirmed_e_mail_makes_nobody_a_user(workspace: Workspace) -> None:
    """Whoever changes the e-mail in their profile must not become somebody else here."""
    workspace.control.knobs(slack={"unconfirmed": [DANA]})
    user(workspace.services, DANA, "admin")
    action_id = workspace.ask()
    workspace.tell()
    workspace.press(action_id, "approve", DANA)
    assert state(workspace, action_id)[0] == "open"


def test_the_same_request_again_has_no_effect(workspace: Workspace, asked: Any) -> None:
    body = urlencode({"payload": json.dumps(payload(asked))}).encode()
    headers = signing.slack_headers(SECRET, body, int(time.time()))
    url = f"{workspace.url}/webhooks/slack/interactions"
    answers = [wire.send("POST", url, body, headers) for _ in range(3)]
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"")] * 3
    workspace.tell()
    assert state(workspace, asked)[0] == "approved"
    assert workspace.whispers() == []


def test_a_forged_or_old_request_is_refused(workspace: Workspace, asked: Any) -> None:
    said = payload(asked)
    assert post(workspace, said, secret="guessed").status == 401
    # The ledger's clock stands still here, while a slow machine's goes on.
    assert post(workspace, said, age=600).status == 401
    assert post(workspace, said, age=-600).status == 401
    body = urlencode({"payload": json.dumps(said)}).encode()
    url = f"{workspace.url}/webhooks/slack/interactions"
    assert wire.send("POST", url, body).status == 401
    good = signing.slack_headers(SECRET, body, int(time.time()))
    assert wire.send("POST", url, body + b"&x=1", good).status == 401
    for name, value in (
        ("X-Slack-Request-Timestamp", "soon"),
        ("X-Slack-Request-Timestamp", ""),
        ("X-Slack-Signature", "v0=é"),
        ("X-Slack-Signature", ""),
    ):
        spoiled = {**good, name: value.encode().decode("latin-1")}
        assert wire.send("POST", url, body, spoiled).status == 401
    assert state(workspace, asked)[0] == "open"


@pytest.mark.parametrize(
    "said",
    [b"payload=%FF%FE", b"payload=nope", b"payload=[]", b"\xff\xfe", b"payload=" + b"[" * 5000],
)
def test_what_slack_does_not_send_is_refused_and_breaks_nothing(workspace: Workspace, said: bytes) -> None:
    assert post(workspace, said).status in (400, 200)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "message_action"},
        {"actions": []},
        {"actions": [{"action_id": "revpipe.open", "value": "x"}]},
        {"actions": [{"action_id": "revpipe.approve", "value": "not-an-id:1"}]},
        {"actions": [{"action_id": "revpipe.approve", "value": None}]},
        {"actions": [{"action_id": "revpipe.approve", "value": "01970000-0000-7000-8000-000000000042:1"}]},
        {"user": None},
        {"user": {"id": "U0DANA001", "team_id": "T0OTHER"}},
        {"type": "view_closed"},
        {"type": "view_submission", "view": {"callback_id": "revpipe.send_edit", "private_metadata": "x"}},
        {"type": "view_submission", "view": {"callback_id": "else", "state": {"values": [1]}}},
    ],
)
def test_other_presses_are_acknowledged_and_do_nothing(workspace: Workspace, asked: Any, change: Any) -> None:
    assert post(workspace, payload(asked, **change)).status == 200
    assert state(workspace, asked)[0] == "open"


def test_a_press_at_another_app_or_workspace_is_refused_where_they_are_set(workspace: Workspace, asked: Any) -> None:
    settings = replace(workspace.services.settings, slack_app_id="A0REVPIPE", slack_team_id="T0SANDBOX")
    presses = type(workspace.services.presses)(settings, None)  # type: ignore[call-arg, misc]
    workspace.app.extensions["revpipe"] = replace(workspace.services, settings=settings, presses=presses)
    assert post(workspace, payload(asked, api_app_id="A0OTHER")).status == 401
    assert post(workspace, payload(asked, user={"id": "U0DANA001", "team_id": "T0OTHER"})).status == 401
    assert state(workspace, asked)[0] == "open"
    assert post(workspace, payload(asked)).status == 200
    assert state(workspace, asked)[0] == "approved"


def test_without_a_secret_nothing_is_let_in(workspace: Workspace, asked: Any) -> None:
    settings = replace(workspace.services.settings, slack_signing_secret=())
    presses = type(workspace.services.presses)(settings, None)  # type: ignore[call-arg, misc]
    workspace.app.extensions["revpipe"] = replace(workspace.services, settings=settings, presses=presses)
    assert post(workspace, payload(asked)).status == 503


def test_a_slow_slack_costs_the_form_and_not_the_answer(workspace: Workspace, asked: Any) -> None:
    workspace.control.fault("slack", "latency", seconds=4, count=1, path="/views.open")
    answer = workspace.press(asked, "edit")
    assert answer["status"] == 200
    assert answer["took_ms"] < 3000
    workspace.control.heal()
    workspace.tell()
    assert workspace.whispers() == [
        "Slack did not open the form in time. Please press again, or decide in the console."
    ]


def test_a_draft_of_a_megabyte_is_shown_in_part_and_approved_elsewhere(workspace: Workspace, asked: Any) -> None:
    rows(
        workspace.services,
        "UPDATE actions SET params = jsonb_set(params, '{body}', to_jsonb(repeat('x', 1000000))) WHERE action_id = :id",
        id=asked,
    )
    rows(workspace.services, "UPDATE approvals SET revision = revision + 1, changed_at = now()")
    workspace.tell()
    assert requests(workspace.services)[0]["state"] == "shown"
    message = workspace.message(asked)
    # Nobody says yes to what they could not read.
    assert buttons(message) == ["reject", "open"]
    assert "too long to be shown whole" in json.dumps(message["blocks"])


def test_two_approvers_at_once(workspace: Workspace) -> None:
    """Slack and the console: one wins, the other is told who."""
    user(workspace.services, DANA, owner_id="o-1")
    for number in range(5):
        action_id = workspace.ask(f"r{number}")
        workspace.tell()
        message = workspace.message(action_id)

        def act(which: int, message: dict[str, Any] = message, action_id: Any = action_id) -> Any:
            if which == 0:
                return workspace.press_at(message, "approve")["status"]
            try:
                return approvals.reject(workspace.services, action_id, person("robin@host"))
            except approvals.AlreadyDecided as error:
                return str(error)

        pressed, console = at_once(2, act)
        assert pressed == 200
        word = state(workspace, action_id)[0]
        assert (word == "rejected") == (console == "rejected")
        if word == "approved":
            assert DANA in console


def test_a_person_in_slack_is_one_user_also_after_their_e_mail_changed(workspace: Workspace, asked: Any) -> None:
    """Sam has Dana's account in Slack by now: a press there is Sam's word, and no longer Dana's."""
    sam = user(workspace.services, SAM, "operator")
    account = workspace.sandbox.world.slack.users.pop(DANA)
    workspace.sandbox.world.slack.users[SAM] = account
    slack_people.place_of(workspace.services, workspace.services.messengers["slack"], SAM)
    with workspace.services.engine.begin() as tx:
        found = slack_people.who(tx, "T0SANDBOX", account)
    assert found is not None
    assert found.user_id == sam.user_id
    assert workspace.press(asked, "approve", SAM)["status"] == 200
    assert state(workspace, asked) == ("approved", SAM, "slack")
