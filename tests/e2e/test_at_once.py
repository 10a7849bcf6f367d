"""What comes twice, at once, or for the same reason has its effect once."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import System


def test_one_batch_posted_five_times_in_parallel_has_one_set_of_effects(running: System) -> None:
    deals = running.vendors.overdue_deals(6)
    events = [event for deal in deals for event in running.vendors.edit(deal, amount="9400")]
    body = json.dumps(events).encode()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(running.door.hubspot_bytes, [body] * 5))
    assert {answer.status for answer in answers} == {202}
    told = [answer.json() for answer in answers]
    assert sum(one["accepted"] for one in told) == len(deals)
    assert sum(one["duplicates"] for one in told) == 4 * len(deals)
    ended = running.ledger.all_ended(deals, len(deals))
    assert {row["disposition"] for row in ended} == {"acted"}
    assert len(running.vendors.done("tasks.create", deals)) == len(deals)
    assert len(running.ledger.actions_of(deals)) == len(deals)
    for row in ended:
        assert running.ledger.happened(row["signal_id"]).count("duplicate") == 4


def test_two_signals_of_one_deal_at_once_get_one_task_and_the_other_names_it(running: System) -> None:
    deals = running.vendors.overdue_deals(5)
    batches = [running.vendors.edit(deal, **{name: value}) for deal in deals for name, value in _CHANGES.items()]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(running.door.hubspot, batches))
    assert {answer.status for answer in answers} == {202}
    ended = running.ledger.all_ended(deals, 2 * len(deals))
    assert len(running.vendors.done("tasks.create", deals)) == len(deals)
    for deal in deals:
        won, *lost = sorted(running.ledger.actions_of([deal]), key=lambda one: str(one["state"]))
        assert won["state"] == "done"
        both = {row["signal_id"]: row for row in ended if row["deal_id"] == deal}
        assert both.pop(won["signal_id"])["disposition"] == "acted"
        (other,) = both.values()
        if lost:
            # Looked at after the other was decided.
            assert (other["disposition"], other["signal_id"]) == ("suppressed", lost[0]["signal_id"])
            assert lost[0]["suppressed_by"] == won["action_id"]
            assert lost[0]["reason"] in {"already_open", "cooldown"}
        elif other["disposition"] == "nothing_due":
            # Looked at after the task was in the CRM: the rule itself saw it.
            assert "set a realistic close date" in "".join(running.ledger.open_tasks(other["signal_id"]))
        else:
            assert (other["disposition"], other["coalesced_into"]) == ("coalesced", won["signal_id"])


_CHANGES = {"amount": "9500", "dealstage": "decisionmakerboughtin"}
