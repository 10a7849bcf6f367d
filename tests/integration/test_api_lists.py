"""Lists of the API: pages that stand still while the ledger grows, filters, and whose deals are shown to whom."""

import base64
import uuid
from typing import Any

import pytest

from revpipe.lists import walks
from revpipe.services import Services
from tests.integration.api_fixtures import ROBIN, SAM, Called, Caller, admin, called
from tests.integration.conftest import MakeServices
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    call,
    one,
    put,
    rows,
    run_act,
    run_to,
    signal_id,
)

__all__ = ["admin", "called"]


def ids(items: list[dict[str, Any]], key: str = "signal_id") -> list[str]:
    return [item[key] for item in items]


def at_moments(called: Called, clock: MovableClock, *names: str) -> list[str]:
    """Signals received one after the other; their ids, the last one in front."""
    for name in names:
        clock.move(seconds=1)
        put(called.services, call(name, f"d-{name}"))
    return [str(signal_id(name)) for name in reversed(names)]


def test_pages_follow_each_other_and_nothing_is_shown_twice_or_left_out(
    called: Called, admin: Caller, clock: MovableClock
) -> None:
    known = at_moments(called, clock, *"abcdefg")
    first = admin.get("/signals", limit=3).json()
    assert ids(first["items"]) == known[:3]
    # What comes in meanwhile belongs in front of the first page, and moves nothing behind it.
    newer = at_moments(called, clock, "later", "latest")
    second = admin.get("/signals", limit=3, after=first["next"]).json()
    third = admin.get("/signals", limit=3, after=second["next"]).json()
    assert ids(second["items"] + third["items"]) == known[3:]
    assert third["next"] is None
    assert ids(admin.all("/signals", limit=2)) == [*newer, *known]


def test_signals_of_one_moment_are_parted_between_pages(called: Called, admin: Caller) -> None:
    put(called.services, *(call(f"m{at}", f"d{at}") for at in range(7)))
    found = ids(admin.all("/signals", limit=2))
    assert sorted(found) == sorted(str(signal_id(f"m{at}")) for at in range(7))


def test_each_filter_lets_through_what_it_names(called: Called, admin: Caller, clock: MovableClock) -> None:
    put(called.services, call("old", "d1", urgency="low"))
    run_to(called.services, "execute")
    run_act(called.services)
    noon = clock.move(seconds=60)
    put(called.services, {"id": "new", "event": "deal.stage_changed", "deal": "d2", "account": "a2"})
    old, new = str(signal_id("old")), str(signal_id("new"))
    row = one(called.services, "SELECT * FROM signals WHERE signal_id = :id", id=new)
    for query, wanted in (
        ({"since": noon.isoformat()}, [new]),
        ({"until": noon.isoformat()}, [old]),
        ({"source": "fake"}, [new, old]),
        ({"source": "other"}, []),
        ({"event": "deal.stage_changed"}, [new]),
        ({"state": "received"}, [new]),
        ({"state": "done"}, [old]),
        ({"disposition": "acted"}, [old]),
        ({"priority": "low"}, [old]),
        ({"deal_id": "d2"}, [new]),
        ({"deal_id": "d2", "event": "call.completed"}, []),
        ({"account_id": "a2"}, [new]),
        ({"correlation_id": str(row["correlation_id"])}, [new]),
        ({"delivery_id": str(row["delivery_id"])}, [new]),
    ):
        assert ids(admin.get("/signals", **query).json()["items"]) == wanted, query


def test_plans_and_actions_are_listed_and_lead_to_each_other(called: Called, admin: Caller) -> None:
    put(called.services, call("a", "d1"))
    run_to(called.services, "execute")
    run_act(called.services)
    signal = admin.get(f"/signals/{signal_id('a')}").json()
    assert signal["payload"]["call_id"] == "a"
    assert signal["context"]["deal"]["value"]["id"] == "d1"
    (plan,) = admin.all("/plans", signal_id=signal["signal_id"])
    assert (plan["plan_id"], plan["decided_by"]) == (signal["plan_id"], "rules")
    whole = admin.get(f"/plans/{plan['plan_id']}").json()
    assert whole["why"]["fired"] == ["rival"]
    assert sorted(whole["action_ids"]) == sorted(signal["action_ids"])
    found = admin.all("/actions", plan_id=plan["plan_id"], limit=1)
    assert sorted(ids(found, "action_id")) == sorted(signal["action_ids"])
    for query, types in (
        ({"type": "send_alert"}, ["send_alert"]),
        ({"adapter": "hubspot"}, ["create_task"]),
        ({"state": "done"}, ["create_task", "send_alert"]),
        ({"state": "unknown"}, []),
        ({"rule_id": "rival"}, ["create_task", "send_alert"]),
        ({"subject": "deal:d1"}, ["create_task", "send_alert"]),
        ({"subject": "deal:d2"}, []),
    ):
        assert sorted(item["type"] for item in admin.all("/actions", **query)) == types, query
    action = admin.get(f"/actions/{found[0]['action_id']}").json()
    assert action["effect"]["external_id"].startswith("x-")


def test_open_actions_are_found_by_their_state_however_old(called: Called, admin: Caller) -> None:
    put(called.services, call("a", "d1"))
    run_to(called.services, "execute")
    rows(called.services, "UPDATE actions SET state = 'unknown', created_at = '2020-01-01Z' WHERE type = 'send_alert'")
    assert [one["type"] for one in admin.all("/actions", state="unknown")] == ["send_alert"]


def test_the_trail_of_a_signal_is_paged_in_its_order(called: Called, admin: Caller) -> None:
    put(called.services, call("a", "d1"))
    run_to(called.services, "execute")
    path = f"/signals/{signal_id('a')}/trail"
    whole = admin.get(path, limit=200).json()
    assert whole["next"] is None
    steps = whole["items"]
    assert [step["what"] for step in steps][:2] == ["received", "enriched"]
    assert admin.all(path, limit=1) == steps


def test_what_is_rare_is_found_in_short_pages_that_say_that_more_follow(called: Called, admin: Caller) -> None:
    put(called.services, call("rare", "d1", urgency="immediate"))
    rows(
        called.services,
        "INSERT INTO signals SELECT (s2).* FROM (SELECT jsonb_populate_record(s, jsonb_build_object('signal_id',"
        " gen_random_uuid(), 'priority', 'low', 'received_at', s.received_at + at * interval '1 ms')) AS s2"
        " FROM signals AS s, generate_series(1, :count) AS at) AS made",
        count=walks.WALK + 10,
    )
    first = admin.get("/signals", priority="immediate").json()
    assert first["items"] == []
    assert first["next"]
    second = admin.get("/signals", priority="immediate", after=first["next"]).json()
    assert (ids(second["items"]), second["next"]) == ([str(signal_id("rare"))], None)


@pytest.fixture
def of_two(make_services: MakeServices, called: Called, provider: FakeProvider) -> Called:
    """A signal `hers` of a deal of Robin's, and one `his` of a deal of Sam's, both decided."""
    for name, owner in (("hers", ROBIN), ("his", SAM)):
        provider.deal = {**provider.deal, "owner_id": owner}
        put(called.services, call(name, f"d-{name}", event="deal.stage_changed"))
        run_to(called.services, "execute")
    return called


def test_a_rep_sees_own_deals_only(of_two: Called) -> None:
    rep, viewer = of_two.as_("rep", ROBIN), of_two.as_("viewer")
    hers, his = str(signal_id("hers")), str(signal_id("his"))
    assert ids(rep.all("/signals")) == [hers]
    assert sorted(ids(viewer.all("/signals"))) == sorted([his, hers])
    assert {item["signal_id"] for item in rep.all("/plans")} == {hers}
    assert {item["signal_id"] for item in rep.all("/actions")} == {hers}
    assert {item["signal_id"] for item in rep.all("/approvals")} == {hers}
    assert {item["signal_id"] for item in viewer.all("/approvals")} == {hers, his}
    theirs = viewer.all("/signals", deal_id="d-his")[0]
    action = viewer.all("/actions", signal_id=his)[0]
    plan = viewer.all("/plans", signal_id=his)[0]
    for path in (
        f"/signals/{theirs['signal_id']}",
        f"/signals/{theirs['signal_id']}/trail",
        f"/actions/{action['action_id']}",
        f"/plans/{plan['plan_id']}",
        f"/approvals/{action['action_id']}",
    ):
        answer = rep.get(path)
        assert answer.status_code == 403, path
        assert "deal of somebody else" in answer.json()["detail"]
        assert viewer.get(path).status_code == 200, path
    assert rep.get("/approvals", owner_id=SAM).status_code == 403
    assert {item["owner_id"] for item in viewer.all("/approvals", owner_id=SAM)} == {SAM}


def test_a_rep_of_no_deals_sees_none(of_two: Called) -> None:
    rep = of_two.as_("rep")
    for path in ("/signals", "/plans", "/actions", "/approvals"):
        assert rep.all(path) == [], path


def test_approvals_of_several_owners_are_paged_in_one_order(of_two: Called, services: Services) -> None:
    rep = of_two.as_("rep", ROBIN)
    # She stands in for Sam while he is away.
    with_sam = of_two.as_("rep", SAM)
    assert with_sam.all("/approvals")
    rows(
        services,
        "UPDATE users SET stand_in = (SELECT user_id FROM users WHERE owner_id = :robin) WHERE owner_id = :sam",
        robin=ROBIN,
        sam=SAM,
    )
    whole = rep.get("/approvals", limit=200).json()["items"]
    assert {item["owner_id"] for item in whole} == {ROBIN, SAM}
    assert whole == sorted(whole, key=lambda item: (item["expires_at"], item["action_id"]))
    assert rep.all("/approvals", limit=1) == whole


def test_queues_rules_and_the_audit_are_listed(called: Called, admin: Caller) -> None:
    put(called.services, call("a", "d1"))
    queues = {item["queue"]: item for item in admin.get("/queues").json()["queues"]}
    assert queues["enrich.standard"]["due"] + queues["enrich.standard"]["sent"] == 1
    rules = admin.get("/rules").json()
    assert [rule["id"] for rule in rules["rules"]] == ["rival", "ask-first", "quiet-call"]
    assert admin.get("/rules/rival").json() == rules["rules"][0]
    assert rules["version"] == called.services.rules.version
    run_to(called.services, "execute")
    (version,) = admin.all("/rule-versions")
    assert version["rules"]["rival"] == "live"
    text = admin.get(f"/rule-versions/{version['version'][:6]}").json()["source"]
    assert text == called.services.rules.source
    for path in ("/rules/none", "/rule-versions/00", "/rule-versions/%00", "/rules/%00"):
        assert admin.get(path).status_code == 404, path


def test_dead_letters_are_listed_filtered_and_shown(called: Called, admin: Caller, clock: MovableClock) -> None:
    put(called.services, {"bad": "no_event"})
    clock.move(seconds=1)
    put(called.services, {"bad": "no_deal"})
    found = admin.all("/dead-letters", limit=1)
    assert [item["reason"] for item in found] == ["no_deal", "no_event"]
    assert ids(admin.all("/dead-letters", reason="no_deal", stage="ingest", state="open"), "reason") == ["no_deal"]
    whole = admin.get(f"/dead-letters/{found[0]['letter_id']}").json()
    assert whole["message"] == '{"bad": "no_deal"}'


def test_a_cursor_of_another_list_or_of_nobody_is_told(called: Called, admin: Caller, clock: MovableClock) -> None:
    at_moments(called, clock, "a", "b")
    after = admin.get("/signals", limit=1).json()["next"]
    foreign = base64.urlsafe_b64encode(f"signals 2026-01-01 {uuid.uuid4()}".encode()).decode().rstrip("=")
    for path, cursor in (("/plans", after), ("/signals", "x"), ("/signals", "aaaa"), ("/signals", foreign)):
        answer = admin.get(path, after=cursor)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json"), cursor
        assert "Leave it out to begin anew" in answer.json()["detail"]
