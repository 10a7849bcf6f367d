"""From a webhook to its effect, and the whole story of it: HubSpot, Gong, Slack, a person's yes and no."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e.conftest import System
from tests.e2e.crm_side import CHANNEL, OWNER, competitor, targets
from tests.e2e.ledger_view import Row
from tests.e2e.preloaded import run


def _trace(running: System, *arguments: str) -> str:
    done = run(running.ledger.urls, "trace", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _idle_deal_with_draft(running: System, name: str) -> tuple[str, Row]:
    deal = running.vendors.idle_deal(name)
    assert running.door.hubspot(running.vendors.edit(deal, amount="12500")).status == 202
    return deal, running.ledger.action_in(deal, "draft_followup", "awaiting_approval")


def test_a_deal_event_becomes_a_task_and_a_draft_that_waits_for_its_yes(running: System) -> None:
    deal, draft = _idle_deal_with_draft(running, "Quiet renewal")
    task = running.ledger.action_in(deal, "create_task", "done")
    (effect,) = running.vendors.done("tasks.create", [deal])
    properties = effect["body"]["properties"]
    assert properties["hubspot_owner_id"] == OWNER
    assert "Quiet renewal" in properties["hs_task_subject"]
    assert f"[revpipe {task['action_id'].hex}]" in properties["hs_task_body"]
    assert targets(effect["body"]) == [deal]
    assert effect["id"] == task["effect"]["external_id"]

    listed = json.loads(run(running.ledger.urls, "approvals", "list", "--json").stdout)
    assert str(draft["action_id"]) in {one["action_id"] for one in listed}
    assert running.ledger.signals_of([deal])[0]["disposition"] is None
    done = run(running.ledger.urls, "approvals", "approve", str(draft["action_id"]), "--by", "vera")
    assert done.returncode == 0
    assert done.stdout.startswith("approved; revpipe sends no mail")
    assert draft["params"]["body"].splitlines()[0] in done.stdout
    (signal,) = running.ledger.all_ended([deal], 1)
    assert signal["disposition"] == "acted"
    again = run(running.ledger.urls, "approvals", "reject", str(draft["action_id"]))
    assert again.returncode == 2
    assert "approved already, by vera" in again.stderr
    happened = running.ledger.happened(signal["signal_id"])
    assert {"received", "enriched", "decided", "released", "approval_requested", "approved"} <= set(happened)
    assert happened.index("received") == 0
    assert happened[-1] == "settled"


def test_a_no_ends_a_draft_and_the_trail_tells_of_it(running: System) -> None:
    deal, draft = _idle_deal_with_draft(running, "Refused draft")
    done = run(running.ledger.urls, "approvals", "reject", str(draft["action_id"]), "--reason", "spoke yesterday")
    assert (done.returncode, done.stdout.strip()) == (0, "rejected")
    (signal,) = running.ledger.all_ended([deal], 1)
    assert signal["disposition"] == "acted"  # The task was done; a rejected draft beside it does not undo that.
    assert running.ledger.action_in(deal, "draft_followup", "rejected")["action_id"] == draft["action_id"]
    assert "rejected" in running.ledger.happened(signal["signal_id"])


def test_a_call_with_a_competitor_becomes_a_task_and_an_alert(running: System) -> None:
    deal = running.vendors.quiet_deal("Rivalled")
    assert running.door.gong(running.vendors.call(deal, **competitor())).status == 202
    running.ledger.action_in(deal, "create_task", "done")
    (task,) = running.vendors.done("tasks.create", [deal])
    assert "Northwind" in task["body"]["properties"]["hs_task_subject"]
    alert = running.ledger.action_in(deal, "send_alert", "done")
    (message,) = [
        one for one in running.vendors.control.effects("slack") if one["marker"] in _names_of(alert["action_id"])
    ]
    assert message["body"]["channel"] == CHANNEL
    assert "Rivalled" in json.dumps(message["body"])


def _names_of(action_id: Any) -> set[str]:
    return {str(action_id), action_id.hex}


def test_trace_finds_a_story_by_every_id_and_tells_it_in_under_thirty_lines(running: System) -> None:
    (deal,) = running.vendors.overdue_deals(1)
    answer = running.door.hubspot(running.vendors.edit(deal, amount="9100")).json()
    (signal,) = running.ledger.all_ended([deal], 1)
    (task,) = running.ledger.actions_of([deal])
    names = [signal["signal_id"], signal["correlation_id"], answer["delivery_id"], task["action_id"], deal]
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda name: _trace(running, str(name)), names))
    assert set(told) == {told[0]}
    lines = told[0].splitlines()
    assert len(lines) < 30
    for words in ("deal.amount_changed", deal, "acted"):
        assert words in lines[0]
    for words in ("rule overdue-close-date", "deal.overdue", str(task["action_id"]), "enriched", "waited", "took"):
        assert words in told[0], told[0]
    (story,) = json.loads(_trace(running, deal, "--json"))
    assert story["signal"]["signal_id"] == str(signal["signal_id"])
    assert [row["what"] for row in story["trail"]] == running.ledger.happened(signal["signal_id"])
    assert story["actions"][0]["effect"]["external_id"] == running.vendors.done("tasks.create", [deal])[0]["id"]


def test_trace_of_an_id_that_nobody_knows_fails_with_a_sentence(running: System) -> None:
    done = run(running.ledger.urls, "trace", "999999999999")
    assert done.returncode == 2
    assert re.search(r"knows no .*999999999999", done.stderr)


def test_the_correlation_id_leads_from_the_log_line_to_the_signal(running: System) -> None:
    deal = running.vendors.idle_deal("Logged renewal")
    answer = running.door.hubspot(running.vendors.edit(deal, amount="9000"))
    (signal,) = running.ledger.signals_of([deal])
    lines = [json.loads(line) for line in (running.logs / "web.log").read_text().splitlines() if '"received"' in line]
    told = [line for line in lines if line.get("delivery_id") == answer.json()["delivery_id"]]
    assert [line.get("correlation_id") for line in told] == [str(signal["correlation_id"])]
