"""Drafts are kept in the ledger: nothing outside happens, so trying twice is the same as once."""

import uuid
from datetime import UTC, datetime

import pytest

from adapters.drafts.actions import DraftActions
from revpipe.errors import Permanent
from revpipe.ports import Effect, Order

DRAFT = {"to": "buyer@example.com", "subject": "Your question", "body": "Hello,"}


def order(params):
    return Order(
        action_id=uuid.uuid4(),
        type="draft_followup",
        params=params,
        correlation_id=uuid.uuid4(),
        deal_id="1",
        account_id=None,
        contact_id=None,
        attempt=1,
        created_at=datetime.now(UTC),
    )


def test_each_draft_has_its_own_outcome():
    good, bad = order(DRAFT), order({"subject": "", "body": "x"})
    outcomes = DraftActions().perform([good, bad])
    assert outcomes[good.action_id] == Effect(detail={"kept": True})
    assert isinstance(outcomes[bad.action_id], Permanent)


def test_what_is_found_is_what_was_done():
    wanted = order(DRAFT)
    actions = DraftActions()
    assert actions.find(wanted) == actions.perform([wanted])[wanted.action_id]


@pytest.mark.parametrize(
    ("change", "word"),
    [({"subject": " "}, "subject"), ({"body": None}, "body"), ({"to": 7}, "to"), ({"cc": "x"}, "cc")],
)
def test_what_is_no_draft_is_refused_by_name(change, word):
    with pytest.raises(Permanent, match=word):
        DraftActions().check("draft_followup", {**DRAFT, **change})


def test_the_addressee_may_be_open():
    assert DraftActions().check("draft_followup", {**DRAFT, "to": None}) is None
    with pytest.raises(Permanent):
        DraftActions().check("send_email", DRAFT)
