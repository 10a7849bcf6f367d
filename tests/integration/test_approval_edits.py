"""Changing what waits for a word: versions, limits, and everything that must not get through."""

import uuid
from typing import Any

import pytest

from revpipe import approvals
from revpipe.approvals import AlreadyDecided, BadEdit, NoApproval, VersionMoved
from revpipe.db import transaction
from revpipe.services import Services
from tests.integration.ledger_fixtures import FakeAdapter, at_once, one, person, rows, run_act, trail_of
from tests.integration.people_fixtures import approval
from tests.integration.test_approvals import ask, state_of

KIM = person("kim")


def draft(services: Services) -> uuid.UUID:
    return ask(services)["draft_followup"]


def params(services: Services, action_id: uuid.UUID) -> dict[str, Any]:
    found = one(services, "SELECT params FROM actions WHERE action_id = :id", id=action_id)["params"]
    assert isinstance(found, dict)
    return found


def test_every_version_is_kept_and_the_approved_one_is_carried_out(services: Services) -> None:
    action_id = draft(services)
    first = params(services, action_id)
    assert approvals.edit(services, action_id, KIM, 1, {"body": "two"}) == 2
    assert approvals.edit(services, action_id, person("sam"), 2, {"subject": "three"}) == 3
    assert params(services, action_id) == first
    with transaction(services.engine) as tx:
        found = approvals.view(tx, action_id)
    assert found is not None
    assert [(one["version"], one["by"], one["params"]["body"]) for one in found.versions] == [
        (1, "rules", first["body"]),
        (2, "kim", "two"),
        (3, "sam", "two"),
    ]
    assert (found.version, found.params) == (3, {**first, "body": "two", "subject": "three"})
    approvals.approve(services, action_id, KIM, 3)
    assert params(services, action_id) == found.params
    assert trail_of(services, "a").count("edited") == 2
    detail = one(services, "SELECT detail FROM trail WHERE what = 'approved'")["detail"]
    assert detail == {"way": "cli", "version": 3}


def test_an_edit_that_changes_nothing_makes_no_version(services: Services) -> None:
    action_id = draft(services)
    before = approval(services, action_id)
    assert approvals.edit(services, action_id, KIM, 1, {"body": params(services, action_id)["body"]}) == 1
    assert approval(services, action_id) == before


def test_what_was_edited_meanwhile_is_not_approved_and_nothing_is_sent(services: Services) -> None:
    action_id = draft(services)
    approvals.edit(services, action_id, KIM, 1, {"body": "better"})
    with pytest.raises(VersionMoved, match="version 2 is the present one, not 1; nothing was sent"):
        approvals.approve(services, action_id, person("sam"), 1)
    with pytest.raises(VersionMoved):
        approvals.edit(services, action_id, person("sam"), 1, {"body": "other"})
    assert state_of(services, action_id) == ("awaiting_approval", None)
    assert run_act(services) == []


def test_of_two_edits_at_once_one_counts(services: Services) -> None:
    action_id = draft(services)

    def write(at: int) -> str:
        try:
            return str(approvals.edit(services, action_id, person(f"p{at}"), 1, {"body": f"by {at}"}))
        except VersionMoved:
            return "moved"

    assert sorted(at_once(4, write)) == ["2", "moved", "moved", "moved"]
    assert len(rows(services, "SELECT 1 FROM approval_versions")) == 2


def test_what_is_decided_is_edited_no_more(services: Services) -> None:
    action_id = draft(services)
    approvals.approve(services, action_id, KIM)
    with pytest.raises(AlreadyDecided, match="was approved already, by kim"):
        approvals.edit(services, action_id, KIM, 1, {"body": "late"})
    with pytest.raises(NoApproval):
        approvals.edit(services, uuid.uuid4(), KIM, 1, {"body": "late"})


def test_a_double_click_counts_once(services: Services) -> None:
    action_id = draft(services)

    def click(_: int) -> str:
        try:
            return approvals.approve(services, action_id, KIM, 1)
        except AlreadyDecided as refusal:
            return str(refusal)

    answers = at_once(2, click)
    assert sorted(answer == "approved" for answer in answers) == [False, True]
    assert any("was approved already, by kim (cli)" in answer for answer in answers)
    assert trail_of(services, "a").count("approved") == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"subject": "a\r\nBcc: all@example.com"}, "subject must be one line"),
        ({"subject": "a\nb"}, "subject must be one line"),
        ({"subject": "a\u2028b"}, "subject must be one line"),
        ({"subject": "x" * 501}, "subject has 501 characters"),
        ({"subject": "  "}, "needs a subject"),
        ({"body": "x" * 1_048_576}, "body has 1,048,576 characters"),
        ({"body": "a\x00b"}, "body holds control characters"),
        ({"body": "a\ud800b"}, "body holds half a character"),
        ({"body": 7}, "needs a body"),
        ({"body": None}, "needs a body"),
        ({"to": "a@example.com, b@example.com"}, "one e-mail address"),
        ({"to": "a@example.com\nCc: b@example.com"}, "to must be one line"),
        ({"to": "nobody"}, "one e-mail address"),
        ({"deal_id": "7"}, "'deal_id' can't be changed here"),
        ({"bcc": "all@example.com"}, "'bcc' can't be changed here"),
    ],
)
def test_a_bad_edit_is_refused_by_name_and_leaves_no_version(
    services: Services, changes: dict[str, Any], fault: str
) -> None:
    action_id = draft(services)
    before = approval(services, action_id)
    with pytest.raises(BadEdit, match=fault):
        approvals.edit(services, action_id, KIM, 1, changes)
    assert approval(services, action_id) == before
    assert rows(services, "SELECT 1 FROM approval_versions") == []


HOSTILE = "'; DROP TABLE actions; -- <script>alert(1)</script> {{ deal.id }} %s :id \\ \" $1"


def test_sql_and_markup_in_a_draft_are_only_text(services: Services) -> None:
    action_id = draft(services)
    approvals.edit(services, action_id, person(HOSTILE), 1, {"subject": HOSTILE, "body": HOSTILE})
    approvals.approve(services, action_id, person(HOSTILE), 2)
    run_act(services)
    assert (params(services, action_id)["subject"], params(services, action_id)["body"]) == (HOSTILE, HOSTILE)
    assert state_of(services, action_id) == ("done", None)
    assert approval(services, action_id)["decided_by"] == HOSTILE


def test_the_vendor_gets_the_approved_version_and_no_other(services: Services, hubspot: FakeAdapter) -> None:
    ids = ask(services)
    rows(
        services,
        "UPDATE actions SET params = CAST(:p AS jsonb) WHERE action_id = :id",
        p='{"object": "deal", "id": "7", "properties": {"hs_next_step": "call"}}',
        id=ids["update_crm"],
    )
    approvals.edit(services, ids["update_crm"], KIM, 1, {"properties": {"hs_next_step": "write"}})
    with pytest.raises(BadEdit):
        approvals.edit(services, ids["update_crm"], KIM, 2, {"properties": {}})
    approvals.approve(services, ids["update_crm"], KIM)
    got: list[Any] = []
    hubspot.script = lambda order: got.append(order.params) or ValueError("seen")  # type: ignore[func-returns-value]
    run_act(services)
    assert got == [{"object": "deal", "id": "7", "properties": {"hs_next_step": "write"}}]


def test_a_reason_may_be_hostile_and_long_but_not_unkeepable(services: Services) -> None:
    ids = ask(services)
    approvals.reject(services, ids["draft_followup"], KIM, HOSTILE * 100)
    assert approval(services, ids["draft_followup"])["reason"].startswith(HOSTILE)
    with pytest.raises(Exception, match="holds control characters"):
        approvals.reject(services, ids["update_crm"], KIM, "a\x00")
    assert state_of(services, ids["update_crm"])[0] == "awaiting_approval"


def test_every_change_moves_the_revision_that_messages_follow(services: Services, clock: Any) -> None:
    action_id = draft(services)
    seen = [approval(services, action_id)["revision"]]
    for do in (
        lambda: approvals.edit(services, action_id, KIM, 1, {"body": "better"}),
        lambda: approvals.approve(services, action_id, KIM),
        lambda: run_act(services),
    ):
        clock.move(seconds=1)
        do()
        row = approval(services, action_id)
        assert row["changed_at"] == clock.now()
        seen.append(row["revision"])
    assert seen == sorted(set(seen))
