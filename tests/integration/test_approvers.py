"""Whose word counts: the owner of the deal, their stand-in, an operator; and nobody else's."""

import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest

from revpipe import approvals
from revpipe.actors import Actor
from revpipe.approvals import NotAllowed
from revpipe.db import transaction
from revpipe.services import Services
from tests.integration.ledger_fixtures import OPEN_DEAL, FakeProvider, one, put, rows, run_to
from tests.integration.people_fixtures import OWNER, approval, by_way, policies, user
from tests.integration.test_approvals import ask, stage_change, state_of

Make = Callable[..., Services]


@pytest.fixture
def owned(services: Services, provider: FakeProvider) -> Services:
    """Services whose deals belong to o-1."""
    provider.deal = {**OPEN_DEAL, **OWNER}
    return services


def waits(services: Services) -> uuid.UUID:
    return ask(services)["draft_followup"]


def test_the_owner_of_the_deal_is_asked_and_told_why(owned: Services) -> None:
    rep = user(owned, "rep@example.com", owner_id="o-1")
    action_id = waits(owned)
    with transaction(owned.engine) as tx:
        found = approvals.view(tx, action_id)
        mine = approvals.inbox(tx, owner_id="o-1")
        nobodys = approvals.view(tx, uuid.uuid4())
    assert found is not None
    assert found.approver == {"user_id": rep.user_id, "email": rep.name, "role": None}
    assert found.why == "A stage change, of which a person must approve both the update and the draft."
    assert (found.risk, found.decided_by, found.version, found.state) == ("low", "rules", 1, "open")
    assert (found.deal_name, found.owner_id, found.outcome) == ("Hooli, 40 seats", "o-1", None)
    assert [(one["version"], one["by"]) for one in found.versions] == [(1, "rules")]
    assert {one.action_id for one in mine} >= {action_id}
    assert nobodys is None


@pytest.mark.parametrize("known", [False, True])
def test_without_a_user_for_the_owner_the_operators_are_asked(owned: Services, *, known: bool) -> None:
    if known:
        user(owned, "gone@example.com", owner_id="o-1", active=False)
    row = approval(owned, waits(owned))
    assert (row["approver_user_id"], row["approver_email"], row["approver_role"]) == (None, None, "operator")


def test_for_an_owner_on_leave_the_stand_in_is_asked(owned: Services) -> None:
    other = user(owned, "other@example.com")
    user(owned, "rep@example.com", owner_id="o-1", stand_in=other, active=False)
    action_id = waits(owned)
    assert approval(owned, action_id)["approver_user_id"] == other.user_id
    assert approvals.approve(owned, action_id, other) == "approved"


@pytest.mark.parametrize("who", ["owner", "stand_in", "operator", "admin"])
@pytest.mark.parametrize("word", ["approve", "reject", "edit"])
def test_these_may(owned: Services, who: str, word: str) -> None:
    stand_in = user(owned, "other@example.com", owner_id="o-2")
    people = {
        "stand_in": stand_in,
        "owner": user(owned, "rep@example.com", owner_id="o-1", stand_in=stand_in),
        "operator": user(owned, "ops@example.com", "operator"),
        "admin": user(owned, "admin@example.com", "admin"),
    }
    action_id = waits(owned)
    speak(owned, word, action_id, people[who])
    assert (state_of(owned, action_id)[0] == "awaiting_approval") == (word == "edit")


@pytest.mark.parametrize("who", ["another rep", "viewer", "gone", "nobody", "unknown"])
@pytest.mark.parametrize("word", ["approve", "reject", "edit"])
def test_these_may_not_and_nothing_is_changed(owned: Services, who: str, word: str) -> None:
    user(owned, "rep@example.com", owner_id="o-1")
    people = {
        "another rep": user(owned, "other@example.com", owner_id="o-2"),
        # Even a viewer whose deal it is has only eyes.
        "viewer": user(owned, "viewer@example.com", "viewer"),
        "gone": user(owned, "gone@example.com", "operator", active=False),
        "nobody": Actor("kim@example.com", "slack"),
        "unknown": Actor("kim@example.com", "slack", uuid.uuid4()),
    }
    action_id = waits(owned)
    before = approval(owned, action_id)
    with pytest.raises(NotAllowed):
        speak(owned, word, action_id, people[who])
    assert approval(owned, action_id) == before
    assert state_of(owned, action_id) == ("awaiting_approval", None)


def speak(services: Services, word: str, action_id: uuid.UUID, actor: Actor) -> None:
    if word == "edit":
        assert approvals.edit(services, action_id, actor, 1, {"body": "better"}) == 2
    else:
        {"approve": approvals.approve, "reject": approvals.reject}[word](services, action_id, actor)


def test_where_two_must_agree_the_second_other_person_lets_it_go(owned: Services) -> None:
    services = owned
    rep = user(services, "rep@example.com", owner_id="o-1")
    ops = user(services, "ops@example.com", "operator")
    put(services, stage_change("a"))
    run_to(services, "decide")
    two = replaced(services, needed=2)
    run_to(two, "execute")
    action_id = one(two, "SELECT action_id FROM actions WHERE type = 'draft_followup'")["action_id"]
    assert approvals.approve(two, action_id, rep) == "open"
    assert approvals.approve(two, action_id, by_way(rep, "slack")) == "open"
    with transaction(two.engine) as tx:
        found = approvals.view(tx, action_id)
    assert found is not None
    assert (found.needed, found.agreed) == (2, 1)
    # An edit takes back what was agreed to another text.
    approvals.edit(two, action_id, rep, 1, {"body": "better"})
    assert approvals.approve(two, action_id, ops) == "open"
    assert approvals.approve(two, action_id, rep) == "approved"
    assert state_of(two, action_id)[0] == "ready"


def test_whoever_edited_does_not_agree_alone_where_policy_says_so(owned: Services) -> None:
    rep = user(owned, "rep@example.com", owner_id="o-1")
    ops = user(owned, "ops@example.com", "operator")
    action_id = waits(owned)
    strict = replaced(owned, self_approval=False)
    approvals.edit(strict, action_id, rep, 1, {"body": "better"})
    with pytest.raises(NotAllowed, match="second person"):
        approvals.approve(strict, action_id, rep)
    assert approvals.approve(strict, action_id, ops) == "approved"


def test_who_sees_it_first_is_told_and_the_approvers_look_counts_as_delivery(owned: Services) -> None:
    rep = user(owned, "rep@example.com", owner_id="o-1")
    ops = user(owned, "ops@example.com", "operator")
    action_id = waits(owned)
    approvals.seen(owned, action_id, ops)
    assert approval(owned, action_id)["delivered_at"] is None
    approvals.seen(owned, action_id, rep)
    approvals.seen(owned, action_id, rep)
    assert approval(owned, action_id)["delivered_at"] is not None
    told = rows(owned, "SELECT detail FROM trail WHERE what = 'shown' AND action_id = :id", id=action_id)
    assert [row["detail"] for row in told] == [{"way": "console"}]


def test_an_operators_look_counts_where_the_operators_were_asked(owned: Services) -> None:
    ops = user(owned, "ops@example.com", "operator")
    action_id = waits(owned)
    approvals.seen(owned, action_id, ops)
    assert approval(owned, action_id)["delivered_at"] is not None


def replaced(services: Services, **changed: object) -> Services:
    """The same services under another policy for drafts."""
    return replace(services, policy=policies(services, "draft_followup", **changed))


def test_who_is_asked_is_in_the_trail_without_a_name(owned: Services) -> None:
    user(owned, "rep@example.com", owner_id="o-1")
    waits(owned)
    details = rows(owned, "SELECT what, detail FROM trail WHERE what = 'approval_requested'")
    assert {row["detail"]["of"] for row in details} == {"owner o-1"}
    assert "example.com" not in str(details)


@pytest.mark.parametrize("who", ["owner", "stand_in"])
def test_whoever_may_only_look_is_not_asked_and_decides_nothing(owned: Services, who: str) -> None:
    """Not even by a way that asks for no permission of its own, if their role was changed since they were asked."""
    other = user(owned, "other@example.com", "viewer" if who == "stand_in" else "rep")
    rep = user(owned, "rep@example.com", "viewer", owner_id="o-1", stand_in=other)
    action_id = waits(owned)
    asked = approval(owned, action_id)
    if who == "owner":
        assert asked["approver_user_id"] == other.user_id
    else:
        assert (asked["approver_user_id"], asked["approver_role"]) == (None, "operator")
    rows(owned, "UPDATE approvals SET approver_user_id = :id", id=rep.user_id)
    with pytest.raises(NotAllowed, match="viewer"):
        approvals.approve(owned, action_id, by_way(rep, "slack"))


def test_every_yes_of_several_is_an_act_that_is_sealed(owned: Services) -> None:
    rep = user(owned, "rep@example.com", owner_id="o-1")
    two = replaced(owned, needed=2)
    put(two, stage_change("a"))
    run_to(two, "decide")
    run_to(two, "execute")
    action_id = one(two, "SELECT action_id FROM actions WHERE type = 'draft_followup'")["action_id"]
    approvals.approve(two, action_id, rep)
    act = one(two, "SELECT audit_id, actor, detail FROM operator_audit WHERE command = 'approvals agree'")
    assert (act["actor"], act["detail"]["action"], act["detail"]["version"]) == (rep.name, str(action_id), 1)
    assert rows(two, "SELECT 1 FROM unsealed WHERE kind = 'audit' AND key = :id", id=str(act["audit_id"]))
