"""What we write comes back as a webhook, and must not go round."""

from collections.abc import Iterator

import pytest

from adapters.sandbox.hubspot_events import USUAL
from tests.e2e.conftest import System
from tests.e2e.ledger_view import Row
from tests.e2e.preloaded import run
from tests.e2e.processes import until

TASK_CREATED = "object.creation:0-27"


@pytest.fixture
def echoing(running: System) -> Iterator[System]:
    """The running system with a HubSpot that posts every change back, its own writes among them."""
    control = running.vendors.control
    control.call("DELETE", "hubspot/events")
    target = f"{running.url}/webhooks/hubspot"
    control.knobs(hubspot={"target_url": target, "subscriptions": [*USUAL, TASK_CREATED]})
    yield running
    control.knobs(hubspot={"target_url": None, "subscriptions": None})


def test_the_echo_of_a_task_and_of_an_update_is_suppressed_and_starts_nothing(echoing: System) -> None:
    (task_deal,) = echoing.vendors.overdue_deals(1)
    echoing.vendors.control.edit("deal", task_deal, {"amount": "9600"})
    task = echoing.ledger.action_in(task_deal, "create_task", "done")
    _suppressed_echo(echoing, "object.created", task["effect"]["external_id"])

    deal = echoing.vendors.quiet_deal("No step written down")
    step = {"highlights": [{"title": "Next steps", "items": [{"text": "Send the security review"}]}]}
    assert echoing.door.gong(echoing.vendors.call(deal, **step)).status == 202
    update = echoing.ledger.action_in(deal, "update_crm", "awaiting_approval")
    assert run(echoing.ledger.urls, "approvals", "approve", str(update["action_id"])).returncode == 0
    echoing.ledger.action_in(deal, "update_crm", "done")
    echo = _suppressed_echo(echoing, "deal.property_changed", deal)
    assert echo["payload"]["new_value"] == "Send the security review"
    # Every signal of both deals has ended, and nothing was done beyond the one task and the one update.
    echoing.ledger.all_ended([task_deal, deal], 3)
    assert len(echoing.vendors.done("tasks.create", [task_deal, deal])) == 1
    updates = [one for one in echoing.vendors.control.effects("hubspot") if one["kind"] == "deals.update"]
    assert [one["id"] for one in updates].count(deal) == 1
    assert len(echoing.ledger.actions_of([task_deal, deal])) == 2


def _suppressed_echo(echoing: System, event: str, object_id: str) -> Row:
    def arrived() -> Row | None:
        found = echoing.ledger.rows(
            "SELECT * FROM signals WHERE event = :event AND payload->>'object_id' = :id", event=event, id=object_id
        )
        return found[0] if found else None

    echo = until(arrived, f"the echo {event} of {object_id}")
    assert (echo["disposition"], echo["reason"]) == ("suppressed", "own_write")
    return echo
