"""Requests for approval as people see them: once, where they read, and up to date with what became of them."""

import uuid
from dataclasses import replace

import pytest

from config.queues import QUEUES, notices
from revpipe import approvals, sweep
from revpipe.actors import Actor
from revpipe.errors import Transient
from revpipe.messenger import Card
from revpipe.notifying import run as notifying
from revpipe.notifying import telling
from tests.integration.ledger_fixtures import MovableClock, at_once, person, rows, trail_of
from tests.integration.messenger_fixtures import (
    CHANNEL,
    DANA,
    SAM,
    Workspace,
    all_texts,
    buttons,
    far_side,
    notifying_offer,
    on_their_way,
    requests,
    workspace,
)
from tests.integration.people_fixtures import approval, user

__all__ = ["far_side", "workspace"]


def test_the_approver_is_asked_in_slack_by_their_e_mail(workspace: Workspace, clock: MovableClock) -> None:
    dana = user(workspace.services, DANA, owner_id="o-1")
    action_id = workspace.ask()
    clock.move(seconds=3)
    assert workspace.tell() == 2
    message = workspace.message(action_id)
    assert message["channel"] == "D0DANA001"
    assert buttons(message) == ["approve", "edit", "reject", "open"]
    shown = " ".join(text["text"] for text in all_texts(message["blocks"]))
    view = workspace.view(action_id)
    for wanted in ("Hooli", view.params["subject"], view.why, "decide until", DANA, f"deal {view.deal_id}"):
        assert wanted in shown
    row = approval(workspace.services, action_id)
    assert row["delivered_at"] == clock.now()
    assert row["approver_user_id"] == dana.user_id
    told = rows(workspace.services, "SELECT detail FROM trail WHERE what = 'approval_delivered'")
    assert [one["detail"]["way"] for one in told] == ["slack", "slack"]
    assert "approval_delivered" in trail_of(workspace.services, "a")


def test_what_a_crm_holds_comes_alive_nowhere(workspace: Workspace) -> None:
    """Only texts of our own are mrkdwn; the fallback text, which always is, is escaped."""
    user(workspace.services, DANA, owner_id="o-1")
    message = workspace.message((workspace.ask(), workspace.tell())[0])
    assert "Hooli &lt;!channel&gt; &amp; &lt;https://evil.example|Acme&gt;" in message["text"]
    for text in all_texts(message["blocks"]):
        assert text["type"] == "plain_text" or ("evil" not in text["text"] and "!channel" not in text["text"])


def test_without_somebody_in_particular_the_default_channel_is_asked(workspace: Workspace) -> None:
    action_id = workspace.ask()
    workspace.tell()
    assert workspace.message(action_id)["channel"] == CHANNEL
    assert approval(workspace.services, action_id)["delivered_at"] is not None


@pytest.mark.parametrize("trouble", ["nobody", "unconfirmed", "gone"])
def test_who_is_not_in_slack_for_sure_is_asked_by_the_next_way(workspace: Workspace, trouble: str) -> None:
    email = "stranger@revpipe.example" if trouble == "nobody" else DANA
    if trouble != "nobody":
        workspace.control.knobs(slack={trouble: [DANA]})
    user(workspace.services, email, owner_id="o-1")
    action_id = workspace.ask()
    workspace.tell()
    found = [one for one in requests(workspace.services) if one["action_id"] == action_id]
    assert [(one["way"], one["address"], one["state"], one["reason"]) for one in found] == [
        ("slack", email, "undeliverable", "not_in_slack"),
        ("slack", CHANNEL, "shown", None),
    ]
    # That it stands in a channel does not prove that this one person has it.
    assert approval(workspace.services, action_id)["delivered_at"] is None
    assert "approval_undeliverable" in trail_of(workspace.services, "a")


def test_the_order_of_ways_is_a_setting(workspace: Workspace) -> None:
    workspace.services = replace(
        workspace.services, settings=replace(workspace.services.settings, approval_ways=("slack", "email"))
    )
    user(workspace.services, "stranger@revpipe.example", owner_id="o-1")
    action_id = workspace.ask()
    workspace.tell()
    assert workspace.messages(action_id) == []
    assert [letter["to"] for letter in workspace.letters()] == [["stranger@revpipe.example"]] * 2


def test_where_no_way_is_set_nothing_is_asked_and_nothing_waits(workspace: Workspace) -> None:
    bare = replace(workspace.services.settings, slack_bot_token=None, smtp_url=None)
    workspace.services = replace(workspace.services, settings=bare)
    workspace.ask()
    assert workspace.tell() == 0
    assert requests(workspace.services) == []
    assert telling.tell(workspace.services) == []


@pytest.mark.parametrize("how", ["approve", "reject", "expire"])
def test_the_message_says_what_became_of_it(workspace: Workspace, clock: MovableClock, how: str) -> None:
    action_id = workspace.ask()
    workspace.tell()
    before = workspace.message(action_id)
    if how == "approve":
        approvals.approve(workspace.services, action_id, person("robin@host"))
    elif how == "reject":
        approvals.reject(workspace.services, action_id, person("robin@host"), "not <now>")
    else:
        rows(workspace.services, "UPDATE approvals SET on_expiry = 'expire'")
        clock.move(days=30)
        approvals.expire_due(workspace.services)
    workspace.tell()
    after = workspace.message(action_id)
    assert (after["ts"], after["channel"]) == (before["ts"], before["channel"])
    said = {
        "approve": "Approved by robin@host by cli",
        "reject": "Rejected by robin@host by cli",
        "expire": "Expired",
    }[how]
    assert any(text["text"].startswith(said) for text in all_texts(after["blocks"])), after["blocks"]
    assert buttons(after) == ["open"]
    assert requests(workspace.services)[0]["queue"] is None


def test_an_edit_is_shown_with_its_writer_and_new_buttons(workspace: Workspace) -> None:
    action_id = workspace.ask()
    workspace.tell()
    approvals.edit(workspace.services, action_id, person("robin@host"), 1, {"subject": "Other words"})
    workspace.tell()
    message = workspace.message(action_id)
    shown = " ".join(text["text"] for text in all_texts(message["blocks"]))
    assert "Other words" in shown
    assert "edited by robin@host by cli" in shown
    values = [
        element["value"] for block in message["blocks"] for element in block.get("elements", ()) if "value" in element
    ]
    assert values == [f"{action_id}:2"] * 4


def test_a_deals_requests_stand_in_one_thread_and_are_seen_in_the_channel_too(workspace: Workspace) -> None:
    first = workspace.ask("a", "d-1")
    workspace.tell()
    other = workspace.ask("b", "d-2")
    workspace.tell()
    mine = [one for one in workspace.messages() if one["metadata"]["event_payload"]["key"]]
    by_action = {row["action_id"]: row for row in requests(workspace.services)}
    roots = {row["deal_id"]: row["ref"] for row in by_action.values() if row["thread"] is None}
    assert set(roots) == {"d-1", "d-2"}
    replies = [one for one in mine if "thread_ts" in one]
    assert sorted(one["thread_ts"] for one in replies) == sorted(roots.values())
    assert {one["subtype"] for one in replies} == {"thread_broadcast"}
    assert by_action[first]["deal_id"] != by_action[other]["deal_id"]


@pytest.mark.parametrize("thread", [False, True])
def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(
    workspace: Workspace, clock: MovableClock, *, thread: bool
) -> None:
    # Of the two requests for one deal the second stands in the thread of the first.
    workspace.control.fault("slack", "malformed", count=1, skip=int(thread), path="/chat.postMessage")
    workspace.ask("a", "d-1")
    workspace.tell()
    (row,) = [one for one in requests(workspace.services) if one["maybe_sent"]]
    clock.move(minutes=3)
    workspace.tell()
    found = workspace.messages()
    assert len(found) == 2
    assert len({one["metadata"]["event_payload"]["key"] for one in found}) == 2
    (row,) = [one for one in requests(workspace.services) if one["request_id"] == row["request_id"]]
    assert (row["state"], row["maybe_sent"], row["queue"]) == ("shown", False, None)
    assert workspace.control.duplicates("slack") == []


def test_what_surely_did_not_arrive_is_posted_once_it_would_be_visible(
    workspace: Workspace, clock: MovableClock
) -> None:
    workspace.control.fault("slack", "error", status=503, count=1, path="/chat.postMessage")
    action_id = workspace.ask()
    workspace.tell()
    for _ in range(4):
        clock.move(seconds=20)
        workspace.tell()
    assert workspace.message(action_id)["channel"] == CHANNEL
    assert workspace.control.duplicates("slack") == []


def test_a_change_while_a_message_is_on_its_way_is_not_lost(workspace: Workspace) -> None:
    """The worker looks at the approval before it sends; whoever decides meanwhile must still be shown."""
    action_id = workspace.ask()
    telling.tell(workspace.services)
    notifying_offer(workspace.services)
    slack = workspace.services.messengers["slack"]

    class Slow:
        """Slack, in front of which the decision falls."""

        def __getattr__(self, name: str) -> object:
            return getattr(slack, name)

        def post(self, card: Card, *arguments: object) -> object:
            if card.action_id == action_id and approval(workspace.services, action_id)["state"] == "open":
                approvals.reject(workspace.services, action_id, person("robin@host"))
            return slack.post(card, *arguments)  # type: ignore[arg-type]

    slow = replace(workspace.services, messengers={**workspace.services.messengers, "slack": Slow()})  # type: ignore[dict-item]
    for chunk in on_their_way(workspace.services):
        notifying.run(chunk, slow)
    workspace.tell()
    assert buttons(workspace.message(action_id)) == ["open"]
    assert {row["queue"] for row in requests(workspace.services)} == {None}


def test_tellers_and_deciders_at_once_leave_nothing_asleep(workspace: Workspace) -> None:
    ids = [workspace.ask(f"s{number}") for number in range(4)]
    workspace.tell()

    def act(number: int) -> None:
        if number < 4:
            approvals.reject(workspace.services, ids[number], person("robin@host"))
        else:
            telling.tell(workspace.services)
            notifying_offer(workspace.services)
            for chunk in on_their_way(workspace.services):
                notifying.run(chunk, workspace.services)

    at_once(8, act)
    workspace.tell()
    for action_id in ids:
        assert buttons(workspace.message(action_id)) == ["open"]
    assert workspace.control.duplicates("slack") == []
    behind = "SELECT 1 FROM approval_requests JOIN approvals USING (approval_id) WHERE shown_revision < revision"
    assert rows(workspace.services, behind) == []


def test_slack_down_burns_nothing_and_the_request_comes_when_it_is_back(
    workspace: Workspace, clock: MovableClock
) -> None:
    workspace.control.fault("slack", "outage", lasts=3600)
    action_id = workspace.ask()
    for _ in range(12):
        workspace.tell()
        clock.move(minutes=2)
    assert workspace.messages(action_id) == []
    assert approval(workspace.services, action_id)["delivered_at"] is None
    workspace.control.heal()
    clock.move(minutes=3)
    workspace.tell()
    assert buttons(workspace.message(action_id)) == ["approve", "edit", "reject", "open"]


def test_what_was_decided_before_it_could_be_asked_is_not_asked(workspace: Workspace, clock: MovableClock) -> None:
    workspace.control.fault("slack", "outage", lasts=3600)
    action_id = workspace.ask()
    workspace.tell()
    approvals.reject(workspace.services, action_id, person("robin@host"))
    workspace.control.heal()
    clock.move(minutes=10)
    workspace.tell()
    assert workspace.messages(action_id) == []
    (row,) = [one for one in requests(workspace.services) if one["action_id"] == action_id]
    assert (row["state"], row["reason"], row["queue"]) == ("over", "nothing_left_to_ask", None)


def test_a_request_whose_worker_died_is_swept_and_found(workspace: Workspace, clock: MovableClock) -> None:
    """Killed between the call and its record: the message is there, and the next worker sees it."""
    action_id = workspace.ask()
    telling.tell(workspace.services)
    notifying_offer(workspace.services)
    slack = workspace.services.messengers["slack"]

    class Dying:
        """Slack, behind which the worker dies."""

        def __getattr__(self, name: str) -> object:
            return getattr(slack, name)

        def post(self, *arguments: object) -> object:
            slack.post(*arguments)  # type: ignore[arg-type]
            raise SystemExit

    dying = replace(workspace.services, messengers={**workspace.services.messengers, "slack": Dying()})  # type: ignore[dict-item]
    for chunk in on_their_way(workspace.services):
        with pytest.raises(SystemExit):
            notifying.run(chunk, dying)
    clock.move(minutes=2)
    assert sweep.sweep(workspace.services)["lease_expired"] == 2
    for _ in range(4):
        workspace.tell()
        clock.move(seconds=15)
    assert workspace.message(action_id)["channel"] == CHANNEL
    assert workspace.control.duplicates("slack") == []


def test_an_escalation_asks_the_next_and_tells_the_first(workspace: Workspace, clock: MovableClock) -> None:
    sam = user(workspace.services, SAM)
    user(workspace.services, DANA, owner_id="o-1", stand_in=sam)
    action_id = workspace.ask()
    workspace.tell()
    clock.move(seconds=1)
    rows(
        workspace.services,
        "UPDATE approvals SET approver_user_id = :id, approver_email = :email, escalated_at = :now,"
        " revision = revision + 1, changed_at = :now WHERE action_id = :action_id",
        id=sam.user_id,
        email=SAM,
        now=clock.now(),
        action_id=action_id,
    )
    workspace.tell()
    by_place = {one["channel"]: one for one in workspace.messages(action_id)}
    assert buttons(by_place["D0SAM0001"]) == ["approve", "edit", "reject", "open"]
    assert buttons(by_place["D0DANA001"]) == ["open"]
    assert f"Passed on to {SAM}" in by_place["D0DANA001"]["text"]


def test_a_message_that_somebody_deleted_is_let_go(workspace: Workspace) -> None:
    action_id = workspace.ask()
    workspace.tell()
    workspace.sandbox.world.slack.channels[CHANNEL].messages.clear()
    approvals.reject(workspace.services, action_id, Actor("robin@host", "cli"))
    workspace.tell()
    (row,) = [one for one in requests(workspace.services) if one["action_id"] == action_id]
    assert (row["state"], row["queue"]) == ("over", None)


def test_what_became_of_one_is_told_before_many_others_are_asked(workspace: Workspace, clock: MovableClock) -> None:
    user(workspace.services, DANA, owner_id="o-1")
    first = workspace.ask("first")
    workspace.tell()
    for number in range(12):
        workspace.ask(f"more-{number}")
    telling.tell(workspace.services)
    wanted = [row for row in requests(workspace.services) if row["state"] == "wanted"]
    assert len(wanted) > QUEUES[notices("slack", "high")].depth
    clock.move(seconds=1)
    approvals.approve(workspace.services, first, person("robin@host"))
    telling.tell(workspace.services)
    notifying_offer(workspace.services)
    (row,) = [row for row in requests(workspace.services) if row["action_id"] == first]
    assert any(row["request_id"] in chunk.ids for chunk in on_their_way(workspace.services))


def test_two_at_once_post_once(workspace: Workspace) -> None:
    workspace.ask()
    telling.tell(workspace.services)
    notifying_offer(workspace.services)
    chunks = on_their_way(workspace.services) * 3
    at_once(len(chunks), lambda number: notifying.run(chunks[number], workspace.services))
    assert len(workspace.messages()) == 2
    assert workspace.control.duplicates("slack") == []


def test_transient_is_what_the_next_way_does_not_wait_for(workspace: Workspace) -> None:
    """A vendor's trouble is no reason to ask by another way: the row waits for this one."""
    workspace.control.fault("slack", "error", status=500, count=1, path="/users.lookupByEmail")
    user(workspace.services, DANA, owner_id="o-1")
    workspace.ask()
    workspace.tell()
    assert {row["state"] for row in requests(workspace.services)} <= {"wanted", "shown"}
    assert {row["address"] for row in requests(workspace.services)} == {DANA}
    assert issubclass(Transient, Exception)


def test_a_message_tells_what_policy_would_do_when_its_time_is_up(workspace: Workspace) -> None:
    """Not what the file wishes for: what people edit, and what a model wanted, never goes out unanswered."""
    user(workspace.services, DANA, owner_id="o-1")
    action_id = workspace.ask()
    workspace.tell()
    assert "then it goes out as it stands" in said(workspace, action_id)
    approvals.edit(workspace.services, action_id, person("robin@host"), 1, {"body": "Other words"})
    workspace.tell()
    assert "then it is dropped" in said(workspace, action_id)
    rows(workspace.services, "UPDATE approvals SET version = 1, planned_by = 'llm', revision = revision + 1")
    workspace.tell()
    assert "then it is dropped" in said(workspace, action_id)


def test_a_letter_tells_that_somebody_else_is_asked_since_it_proves_nothing(workspace: Workspace) -> None:
    settings = replace(workspace.services.settings, slack_bot_token=None)
    workspace.services = replace(workspace.services, settings=settings)
    user(workspace.services, DANA, owner_id="o-1")
    workspace.ask()
    workspace.tell()
    assert {"then somebody else is asked" in one["text"] for one in workspace.letters()} == {True}


def said(workspace: Workspace, action_id: uuid.UUID) -> str:
    return " ".join(text["text"] for text in all_texts(workspace.message(action_id)["blocks"]))
