"""What a recipient reads of an approval: who may still decide, and what became of it."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from revpipe.approvals import View
from revpipe.notifying.cards import asked, outcome

AT = datetime(2026, 5, 4, 14, 2, tzinfo=UTC)
ANN = uuid.UUID("01970000-0000-7000-8000-000000000001")
VIEW = View(
    action_id=uuid.UUID("01970000-0000-7000-8000-000000000042"),
    approval_id=uuid.UUID("01970000-0000-7000-8000-000000000043"),
    state="open",
    version=1,
    revision=0,
    type="draft_followup",
    params={},
    rule_id="slipped",
    why="",
    decided_by="rules",
    deal_id="1",
    deal_name="Acme",
    owner_id="o",
    approver={"user_id": ANN, "email": "ann@example.com", "role": None},
    requested_at=AT,
    expires_at=AT,
    on_expiry="expire",
    risk="low",
    needed=1,
    agreed=0,
    decided=None,
    outcome=None,
    versions=(),
    signal_id=uuid.UUID("01970000-0000-7000-8000-000000000044"),
    delivered_at=None,
    escalated_at=None,
)


def decided(state: str, **more: Any) -> View:
    told = {"by": "ann@example.com", "way": "console", "at": AT, "reason": None, **more}
    return replace(VIEW, state=state, decided=told)


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (decided("approved"), "Approved by ann@example.com by console at 2026-05-04 14:02 UTC."),
        (
            replace(decided("approved"), outcome="done"),
            "Approved by ann@example.com by console at 2026-05-04 14:02 UTC. Done.",
        ),
        (
            replace(decided("approved"), outcome="cancelled: deal_closed"),
            "Approved by ann@example.com by console at 2026-05-04 14:02 UTC. Cancelled: deal closed.",
        ),
        (
            decided("rejected", reason="no budget."),
            "Rejected by ann@example.com by console at 2026-05-04 14:02 UTC: no budget.",
        ),
        (
            replace(decided("rejected", reason="no budget"), outcome="rejected: rejected_by_person"),
            "Rejected by ann@example.com by console at 2026-05-04 14:02 UTC: no budget.",
        ),
        (
            replace(decided("expired", by="policy", way="policy"), outcome="expired: approval_expired"),
            "Expired at 2026-05-04 14:02 UTC.",
        ),
        (decided("approved", by="policy", way="policy"), "Approved by policy at 2026-05-04 14:02 UTC."),
        (decided("expired", by="policy", way="policy"), "Expired at 2026-05-04 14:02 UTC."),
    ],
)
def test_an_end_names_who_when_and_by_which_way(view: View, said: str) -> None:
    assert outcome(view) == outcome(view, ANN) == said


def test_while_it_is_open_only_whoever_was_asked_before_it_was_passed_on_may_not_decide() -> None:
    role = {"user_id": None, "email": None, "role": "operator"}
    assert outcome(VIEW) is outcome(VIEW, ANN, AT) is outcome(replace(VIEW, approver=role), ANN, AT) is None
    passed = replace(VIEW, approver=role, escalated_at=AT + timedelta(hours=4))
    assert outcome(passed) is outcome(passed, ANN, AT + timedelta(hours=5)) is None
    assert outcome(passed, ANN, AT) == "Passed on to everyone with the role operator: there was no answer in time."


def test_whoever_is_asked_has_a_name() -> None:
    assert asked(VIEW.approver) == "ann@example.com"
    assert asked({"role": "admin"}) == "everyone with the role admin"
