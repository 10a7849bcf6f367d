from datetime import UTC, datetime

import pytest

from adapters.hubspot.accounts import account_value, primary
from adapters.hubspot.answers import Entry, Link, Record
from adapters.hubspot.contacts import champion, contact_value
from adapters.hubspot.deals import Surroundings, best_open, deal_value
from adapters.hubspot.pipelines import Stage
from adapters.hubspot.tasks import open_tasks

STAGES = {
    ("default", "open"): Stage("Open", 0, is_closed=False, probability=0.4),
    ("default", "won"): Stage("Won", 1, is_closed=True, probability=1.0),
}
DAY = datetime(2026, 11, 1, tzinfo=UTC)


def deal(id="1", history=None, **properties):
    return Record(id, {"pipeline": "default", "dealstage": "open"} | properties, history or {})


@pytest.mark.parametrize(
    ("deals", "chosen"),
    [
        ([deal("1", amount="5"), deal("2", amount="50")], "2"),
        ([deal("10", amount="5"), deal("9", amount="5.0")], "9"),
        ([deal("1", amount="500", hs_is_closed="true"), deal("2", amount="1")], "2"),
        ([deal("1", amount="500", dealstage="won"), deal("2")], "2"),
        ([deal("1"), deal("2", amount="0")], "2"),
        ([deal("1", amount="much"), deal("2", amount="-5")], "2"),
    ],
)
def test_the_open_deal_with_the_largest_amount_is_chosen(deals, chosen):
    assert best_open(deals, STAGES).id == chosen
    assert best_open(reversed(deals), STAGES).id == chosen


def test_no_open_deal():
    assert best_open([deal(dealstage="won"), deal(hs_is_closed="true")], STAGES) is None


def test_what_the_deal_does_not_say_its_stage_does():
    value = deal_value(deal(dealstage="won"), Surroundings(), STAGES)
    assert (value["is_closed"], value["is_won"], value["probability"]) == (True, True, 1.0)
    told = deal(dealstage="won", hs_is_closed="false", hs_is_closed_won="false", hs_deal_stage_probability="0")
    value = deal_value(told, Surroundings(), STAGES)
    assert (value["is_closed"], value["is_won"], value["probability"]) == (False, False, 0.0)


def test_an_unknown_stage_and_bad_values_are_none():
    value = deal_value(deal(dealstage="4711", amount="a lot", closedate="soon"), Surroundings(), STAGES)
    assert value["stage"] == "4711"
    names = ("stage_label", "stage_order", "amount", "close_date", "is_closed", "probability", "entered_stage_at")
    assert [value[name] for name in names] == [None] * len(names)


def test_the_stage_was_entered_when_it_says_else_when_the_history_does_else_at_the_beginning():
    history = {"dealstage": [Entry("open", DAY)]}
    said = deal(history=history, hs_v2_date_entered_current_stage="2026-11-02T00:00:00Z", createdate="2026-10-01")
    assert deal_value(said, Surroundings(), STAGES)["entered_stage_at"] == "2026-11-02T00:00:00Z"
    unsaid = deal(history=history, createdate="2026-10-01")
    assert deal_value(unsaid, Surroundings(), STAGES)["entered_stage_at"] == "2026-11-01T00:00:00Z"
    bare = deal(createdate="2026-10-01")
    assert deal_value(bare, Surroundings(), STAGES)["entered_stage_at"] == "2026-10-01T00:00:00Z"


def test_histories_hold_twenty_values():
    entries = [Entry("open", DAY)] * 30
    value = deal_value(deal(history={"dealstage": entries, "closedate": entries}), Surroundings(), STAGES)
    assert (len(value["stage_history"]), len(value["close_date_history"])) == (20, 20)
    assert value["stage_history"][0] == {"stage": "open", "order": 0, "at": "2026-11-01T00:00:00Z"}


def test_the_primary_company_else_the_first():
    links = [Link("1"), Link("2", frozenset({"Primary"}))]
    assert (primary(links), primary(links[:1]), primary([])) == ("2", "1", None)


def test_an_account_and_a_contact_in_our_words():
    account = account_value(Record("7", {"numberofemployees": "many", "hs_is_target_account": "true"}))
    assert (account["employees"], account["is_target"], account["name"]) == (None, True, None)
    assert account_value(Record("7", {"lifecyclestage": "customer"}))["lifecycle_stage"] == "customer"
    told = {"lastname": "Park", "hs_buying_role": "Budget holder;Champion", "hubspot_owner_id": "71"}
    contact = contact_value(Record("8", {**told, "notes_last_updated": "2026-11-01T08:00:00.000Z"}))
    assert (contact["name"], contact["buying_roles"]) == ("Park", ["BUDGET_HOLDER", "CHAMPION"])
    assert (contact["owner_id"], contact["last_activity_at"][:16]) == ("71", "2026-11-01T08:00")


def test_the_champion_else_the_first():
    plain, best = Record("1", {}), Record("2", {"hs_buying_role": "CHAMPION"})
    assert (champion([plain, best]), champion([plain]), champion([])) == (best, plain, None)


def test_open_tasks_come_in_the_order_they_are_due():
    rows = [("1", "NOT_STARTED", None), ("2", "WAITING", "2026-12-02"), ("3", "COMPLETED", "2026-12-01")]
    rows += [("4", None, "2026-12-01")]
    tasks = [Record(id, {"hs_task_status": status, "hs_timestamp": due}) for id, status, due in rows]
    assert [task["id"] for task in open_tasks(tasks)] == ["4", "2", "1"]
