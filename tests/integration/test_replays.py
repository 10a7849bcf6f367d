"""Replays: each stage's letter to its end with the effect exactly once, told beforehand, paced, and explained after."""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from config.queues import QUEUES
from revpipe import approvals, audit, dead_letters, forecasts, outcomes, queries, replays
from revpipe.db import transaction
from revpipe.errors import BadPayload, EffectUnknown, Permanent, Transient
from revpipe.forecasts import Forecast
from revpipe.ports import Accepted, Delivery, Effect, Refused
from revpipe.replays import Period, Report, Word
from revpipe.services import Services
from revpipe.story import view
from tests.integration.conftest import ALL_TABLES
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    FakeProvider,
    FakeSource,
    MovableClock,
    at_once,
    call,
    offer_due,
    one,
    person,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    signal_id,
    signal_row,
    trail_of,
)
from tests.integration.ledger_rules import ALERT, one_rule

WORD = Word("kim@desk", "test")
ALL_DONE = [{"type": "create_task", "state": "done"}, {"type": "send_alert", "state": "done"}]


class MendedSource(FakeSource):
    """The source of a later release: what it refused with `soon` it now understands."""

    def _one(self, item: dict[str, Any], delivery: Delivery) -> Accepted | Refused:
        return super()._one(_mended(item), delivery)


def _mended(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "bad"} if item.get("bad") == "soon" else item


def letter_ids(services: Services, state: str = "open") -> list[uuid.UUID]:
    found = rows(services, "SELECT letter_id FROM dead_letters WHERE state = :s ORDER BY last_at, letter_id", s=state)
    return [row["letter_id"] for row in found]


def replay(services: Services, *ids: uuid.UUID) -> Report:
    return replays.letters(services, ids or letter_ids(services), WORD)


def again(services: Services, name: str, stage: str | None = None, **more: Any) -> Report:
    return replays.signals(services, [signal_id(name)], WORD, stage, **more)


def told(services: Services, name: str, stage: str | None = None) -> Forecast:
    (forecast,) = replays.signal_forecasts(services, [signal_id(name)], stage)
    return forecast


def finish(services: Services) -> None:
    """Let everything that is due run to its end."""
    for _ in range(12):
        offer_due(services)
        moved = [run_stage(services, stage) for stage in ("enrich", "decide", "execute")]
        if not any(moved) and not run_act(services):
            return
    raise AssertionError("it never comes to an end")


def states(services: Services, name: str = "a") -> list[dict[str, Any]]:
    return rows(
        services,
        "SELECT type, state FROM actions WHERE signal_id = :id AND reason IS DISTINCT FROM 'set_aside' ORDER BY type",
        id=signal_id(name),
    )


def snapshot(services: Services) -> dict[str, list[str]]:
    return {
        name: sorted(json.dumps(row, default=str, sort_keys=True) for row in rows(services, f"SELECT * FROM {name}"))
        for name in ALL_TABLES
    }


def balance(services: Services) -> dict[str, int]:
    found = rows(services, "SELECT name, sum(n)::int AS n FROM tallies GROUP BY name HAVING sum(n) <> 0")
    return {row["name"]: row["n"] for row in found}


@pytest.fixture
def slack(services: Services) -> FakeAdapter:
    adapter = services.adapters["slack"]
    assert isinstance(adapter, FakeAdapter)
    return adapter


def dies_at(stage: str, services: Services, provider: FakeProvider, hubspot: FakeAdapter) -> None:
    """Signal `a`, buried at `stage`; what buried it is mended."""
    put(services, call("a"))
    if stage == "enrich":
        provider.script[signal_id("a")] = Permanent("gone")
        run_to(services, "enrich")
        provider.script.clear()
    elif stage == "act":
        hubspot.script = lambda order: Permanent("no such property")
        finish(services)
        hubspot.script = None
    else:
        if stage == "execute":
            run_stage(services, "enrich")
            run_stage(services, "decide")
        else:
            run_stage(services, "enrich")
        rows(services, "UPDATE signals SET attempts = 99")
        run_stage(services, stage)
    assert signal_row(services, "a")["disposition"] == "dead_lettered"


@pytest.mark.parametrize("stage", ["enrich", "decide", "execute", "act"])
def test_a_letter_of_each_stage_is_replayed_to_its_end_with_each_effect_once(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter, slack: FakeAdapter, stage: str
) -> None:
    dies_at(stage, services, provider, hubspot)
    asked, tasks = len(provider.calls), hubspot.count("perform")
    report = replay(services)
    assert report.counts == {"replayed": 1}
    assert report.results[0].forecast.stage == stage
    assert signal_row(services, "a")["disposition"] is None
    finish(services)
    row = signal_row(services, "a")
    assert (row["disposition"], row["reason"], row["attempts"]) == ("acted", None, 0)
    assert states(services) == ALL_DONE
    assert hubspot.count("perform") - tasks == 1
    assert slack.count("perform") == 1
    assert len(provider.calls) - asked == (1 if stage == "enrich" else 0)
    assert trail_of(services, "a").count("replayed") == 1
    letter = one(services, "SELECT * FROM dead_letters")
    assert (letter["state"], letter["replays"], letter["closed_by"]) == ("replayed", 1, "kim@desk")
    assert balance(services) == {"accepted": 1, "acted": 1}


def test_a_second_replay_does_nothing(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter, slack: FakeAdapter
) -> None:
    dies_at("act", services, provider, hubspot)
    (letter,) = letter_ids(services)
    replay(services, letter)
    second = replay(services, letter)
    finish(services)
    third = replay(services, letter)
    for report in (second, third):
        assert report.counts == {"over": 1}
        assert "it was replayed" in str(report.results[0].reason)
    assert hubspot.count("perform") == 2
    assert slack.count("perform") == 1


@pytest.mark.parametrize("stage", ["decide", "act"])
def test_two_replays_at_one_moment_are_one(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter, stage: str
) -> None:
    dies_at(stage, services, provider, hubspot)
    (letter,) = letter_ids(services)
    reports = at_once(4, lambda _: replay(services, letter))
    assert sorted(next(iter(report.counts)) for report in reports) == ["over", "over", "over", "replayed"]
    finish(services)
    assert states(services) == ALL_DONE
    assert trail_of(services, "a").count("replayed") == 1


def test_work_that_fails_again_opens_its_letter_again_and_can_be_replayed_again(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter
) -> None:
    dies_at("act", services, provider, hubspot)
    (letter,) = letter_ids(services)
    hubspot.script = lambda order: Permanent("still no such property")
    replay(services)
    finish(services)
    found = one(services, "SELECT * FROM dead_letters")
    assert (found["letter_id"], found["state"], found["times"], found["closed_at"]) == (letter, "open", 2, None)
    assert "still" in found["error"]
    assert signal_row(services, "a")["disposition"] == "dead_lettered"
    hubspot.script = None
    replay(services)
    finish(services)
    assert signal_row(services, "a")["disposition"] == "acted"
    assert one(services, "SELECT state, replays FROM dead_letters") == {"state": "replayed", "replays": 2}
    assert balance(services) == {"accepted": 1, "acted": 1}


def test_a_replayed_action_has_a_day_of_its_own_to_wait_for_its_vendor(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter, clock: MovableClock
) -> None:
    dies_at("act", services, provider, hubspot)
    clock.move(hours=30)
    hubspot.script = lambda order: Transient("down")
    replay(services)
    for _ in range(QUEUES["execute.hubspot.standard"].attempts + 1):
        finish(services)
        clock.move(minutes=3)
    assert one(services, "SELECT state FROM actions WHERE type = 'create_task'") == {"state": "ready"}
    clock.move(seconds=outcomes.WAITS_AT_MOST.total_seconds())
    finish(services)
    assert one(services, "SELECT state FROM actions WHERE type = 'create_task'") == {"state": "failed"}


# Ingest


@pytest.fixture
def mended(services: Services) -> Services:
    return replace(services, sources={"fake": MendedSource()})


def test_a_bad_event_is_read_again_by_todays_code_and_goes_its_way(
    services: Services, mended: Services, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    receipt = put(services, call("ok", "d2"), {**call("a"), "bad": "soon"}, {"bad": "never"})
    clock.move(hours=40)
    report = replay(mended)
    assert report.counts == {"replayed": 1, "still_bad": 1}
    row = signal_row(services, "a")
    assert (row["delivery_id"], row["correlation_id"]) == (receipt.delivery_id, receipt.correlation_id)
    assert row["expires_at"] >= clock.now() + timedelta(hours=23)
    assert trail_of(services, "a")[:2] == ["received", "replayed"]
    finish(services)
    assert signal_row(services, "a")["disposition"] == "acted"
    assert balance(services) == {"accepted": 2, "acted": 2}
    letters = rows(services, "SELECT reason, state, times FROM dead_letters ORDER BY reason")
    assert letters == [
        {"reason": "never", "state": "open", "times": 2},
        {"reason": "soon", "state": "replayed", "times": 1},
    ]


def test_an_event_that_came_again_meanwhile_is_not_taken_in_twice(services: Services, mended: Services) -> None:
    put(services, {**call("a"), "bad": "soon"})
    put(services, call("a"))
    assert replay(mended).counts == {"replayed": 1}
    assert one(services, "SELECT count(*) AS n FROM signals") == {"n": 1}
    assert balance(services) == {"accepted": 1}


def test_reading_one_event_again_leaves_a_discarded_neighbour_alone(services: Services, mended: Services) -> None:
    put(services, {**call("a"), "bad": "soon"}, {**call("b", "d2"), "bad": "soon"})
    by_name = {
        json.loads(row["message"])["id"]: row["letter_id"] for row in rows(services, "SELECT * FROM dead_letters")
    }
    replays.discard(mended, [by_name["b"]], WORD, "a test of theirs")
    replay(mended, by_name["a"])
    assert [row["signal_id"] for row in rows(services, "SELECT signal_id FROM signals")] == [signal_id("a")]
    assert replay(mended, by_name["b"]).counts == {"over": 1}


def test_what_the_ledger_could_not_hold_is_read_again_from_its_delivery(services: Services) -> None:
    class Cleaning(FakeSource):
        def _one(self, item: dict[str, Any], delivery: Delivery) -> Accepted | Refused:
            return super()._one({**item, "payload": {"competitors": []}}, delivery)

    put(services, call("a", payload={"text": "a\0b"}), call("b", "d2"))
    assert len(letter_ids(services)) == 1
    assert replay(replace(services, sources={"fake": Cleaning()})).counts == {"replayed": 1}
    assert signal_row(services, "a")["payload"] == {"competitors": []}
    assert one(services, "SELECT count(*) AS n FROM signals") == {"n": 2}


def test_a_letter_of_a_source_that_is_not_there_is_left(services: Services) -> None:
    put(services, {"bad": "soon"})
    assert replay(services).counts == {"refused": 1}
    assert len(letter_ids(services)) == 1


# What was done already


def test_what_was_done_is_never_done_again_from_whatever_stage(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter, slack: FakeAdapter, clock: MovableClock
) -> None:
    put(services, call("a"))
    finish(services)
    clock.move(days=20)
    for stage in ("decide", "enrich"):
        forecast = told(services, "a", stage)
        assert forecast.anew
        done = [known for known in forecast.actions if known.verdict == forecasts.DONE]
        assert sorted(known.type for known in done) == ["create_task", "send_alert"]
        assert [known.external_id for known in done] == [f"x-{known.action_id.hex}" for known in done]
        again(services, "a", stage)
        finish(services)
        row = signal_row(services, "a")
        assert (row["disposition"], row["state"]) == ("acted", "done")
    assert again(services, "a", "execute").counts == {"refused": 1}
    assert (hubspot.count("perform"), slack.count("perform")) == (1, 1)
    left = rows(services, "SELECT reason, suppressed_by FROM actions WHERE state = 'suppressed'")
    assert {row["reason"] for row in left} == {"already_done"}
    assert {row["suppressed_by"] for row in left} == {
        row["action_id"] for row in rows(services, "SELECT action_id FROM actions WHERE state = 'done'")
    }
    assert len(provider.calls) == 2


def test_an_action_that_was_done_meanwhile_is_not_called_again_by_its_letter(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter
) -> None:
    dies_at("act", services, provider, hubspot)
    rows(services, "UPDATE actions SET state = 'done' WHERE state = 'failed'")
    calls = len(hubspot.log)
    report = replay(services)
    assert report.counts == {"over": 1}
    finish(services)
    assert len(hubspot.log) == calls
    assert letter_ids(services) == []


@pytest.mark.parametrize("there", [True, False])
def test_an_unknown_outcome_is_looked_up_before_anything_is_sent(
    services: Services, hubspot: FakeAdapter, clock: MovableClock, there: bool
) -> None:
    hubspot.script = lambda order: EffectUnknown("the answer was lost")
    put(services, call("a"))
    finish(services)
    hubspot.script, sent = None, hubspot.count("perform")
    hubspot.answer_to_find = Effect("found-1") if there else None
    forecast = told(services, "a", "execute")
    assert [known.verdict for known in forecast.actions if known.type == "create_task"] == [forecasts.LOOKED_UP]
    assert again(services, "a", "execute").counts == {"replayed": 1}
    finish(services)
    assert [what for what, _ in hubspot.log][1] == "find"
    assert hubspot.count("perform") - sent == (0 if there else 1)
    assert signal_row(services, "a")["disposition"] == "acted"


def test_an_unknown_action_keeps_its_signal_from_being_decided_anew(services: Services, hubspot: FakeAdapter) -> None:
    hubspot.script = lambda order: EffectUnknown("the answer was lost")
    put(services, call("a"))
    finish(services)
    assert "settle it first" in str(told(services, "a", "decide").refusal)
    assert again(services, "a", "decide").counts == {"refused": 1}


def test_a_failure_that_proves_that_nothing_was_done_needs_no_look(
    services: Services, provider: FakeProvider, hubspot: FakeAdapter
) -> None:
    dies_at("act", services, provider, hubspot)
    (forecast,) = replays.letter_forecasts(services, letter_ids(services))
    assert [known.verdict for known in forecast.actions] == [forecasts.RUNS]
    replay(services)
    finish(services)
    assert hubspot.count("find") == 0


def test_a_newer_equal_action_that_is_open_wins_over_the_replayed_one(
    make_services: Callable[..., Services], slack_down: FakeAdapter
) -> None:
    services = make_services(rules=one_rule(ALERT, cooldown="0s"), adapters=[slack_down])
    put(services, call("a"))
    finish(services)
    assert signal_row(services, "a")["disposition"] == "dead_lettered"
    put(services, call("b"))
    run_to(services, "decide")
    (newer,) = rows(services, "SELECT action_id FROM actions WHERE signal_id = :id", id=signal_id("b"))
    assert replay(services).counts == {"replayed": 1}
    old = one(services, "SELECT * FROM actions WHERE signal_id = :id", id=signal_id("a"))
    assert (old["state"], old["suppressed_by"]) == ("suppressed", newer["action_id"])
    assert signal_row(services, "a")["disposition"] == "suppressed"
    slack_down.script = None
    finish(services)
    assert signal_row(services, "b")["disposition"] == "acted"


@pytest.fixture
def slack_down() -> FakeAdapter:
    adapter = FakeAdapter("slack", ("send_alert",))
    adapter.script = lambda order: Permanent("no such channel")
    return adapter


# Deciding anew


def test_todays_rules_decide_anew_and_the_former_decision_stays_readable(
    services: Services, make_services: Callable[..., Services], hubspot: FakeAdapter
) -> None:
    hubspot.script = lambda order: Permanent("no such property")
    put(services, call("a"))
    finish(services)
    before = one(services, "SELECT * FROM plans")
    later = make_services(rules=one_rule(ALERT))
    replays.signals(later, [signal_id("a")], WORD, "decide")
    finish(later)
    plan = one(services, "SELECT * FROM plans")
    assert (plan["plan_id"], plan["rules_version"]) == (before["plan_id"], later.rules.version)
    former = one(services, "SELECT * FROM superseded")
    assert (former["kind"], former["made_at"], former["signal_id"]) == ("plan", before["created_at"], signal_id("a"))
    assert former["record"]["why"] == before["why"]
    found = rows(services, "SELECT rule_id, type, state, reason FROM actions ORDER BY rule_id, type")
    assert found == [
        {"rule_id": "only", "type": "send_alert", "state": "done", "reason": None},
        {"rule_id": "rival", "type": "create_task", "state": "suppressed", "reason": "set_aside"},
        {"rule_id": "rival", "type": "send_alert", "state": "done", "reason": None},
    ]
    assert signal_row(services, "a")["disposition"] == "acted"
    assert letter_ids(services) == []


def test_an_action_decided_anew_asks_its_person_anew(services: Services, clock: MovableClock) -> None:
    put(services, call("a", event="deal.stage_changed"))
    run_to(services, "execute")
    first = rows(services, "SELECT action_id FROM actions")
    for row in first:
        approvals.reject(services, row["action_id"], person("kim"))
    assert signal_row(services, "a")["disposition"] == "rejected"
    again(services, "a", "decide")
    finish(services)
    open_ = rows(services, "SELECT action_id FROM approvals WHERE state = 'open'")
    assert len(open_) == 2
    assert not {row["action_id"] for row in open_} & {row["action_id"] for row in first}
    for row in open_:
        approvals.approve(services, row["action_id"], person("kim"))
    finish(services)
    assert signal_row(services, "a")["disposition"] == "acted"


def test_a_rejection_stands_when_only_what_failed_is_carried_out_again(
    services: Services, hubspot: FakeAdapter
) -> None:
    hubspot.script = lambda order: Permanent("no such property")
    put(services, call("a", event="deal.stage_changed"))
    run_to(services, "execute")
    ids = {row["type"]: row["action_id"] for row in rows(services, "SELECT type, action_id FROM actions")}
    approvals.reject(services, ids["draft_followup"], person("kim"))
    approvals.approve(services, ids["update_crm"], person("kim"))
    finish(services)
    hubspot.script = None
    verdicts = {known.type: known.verdict for known in told(services, "a").actions}
    assert verdicts == {"draft_followup": forecasts.STAYS, "update_crm": forecasts.RUNS}
    again(services, "a", "execute")
    finish(services)
    assert states(services) == [
        {"type": "draft_followup", "state": "rejected"},
        {"type": "update_crm", "state": "done"},
    ]
    assert rows(services, "SELECT state FROM approvals WHERE state = 'open'") == []


def test_what_was_never_released_asks_its_person_when_execute_is_replayed(services: Services) -> None:
    put(services, call("a", event="deal.stage_changed"))
    run_to(services, "decide")
    rows(services, "UPDATE signals SET attempts = 99")
    run_stage(services, "execute")
    assert replay(services).counts == {"replayed": 1}
    finish(services)
    found = rows(services, "SELECT state FROM actions")
    assert [row["state"] for row in found] == ["awaiting_approval"] * 2
    assert len(rows(services, "SELECT 1 FROM approvals WHERE state = 'open'")) == 2


def test_from_enrich_the_context_is_made_anew_even_where_it_was_fetched_lately(
    services: Services, provider: FakeProvider
) -> None:
    provider.deal = {"name": "old"}
    put(services, call("a"))
    finish(services)
    provider.deal = {"name": "new"}
    again(services, "a", "enrich")
    finish(services)
    assert one(services, "SELECT parts FROM contexts")["parts"]["deal"]["value"]["name"] == "new"
    kept = {row["kind"]: row["record"] for row in rows(services, "SELECT kind, record FROM superseded")}
    assert kept.keys() == {"context", "plan"}
    assert kept["context"]["parts"]["deal"]["value"]["name"] == "old"


def test_a_corrected_payload_is_decided_on_and_the_former_one_kept(services: Services) -> None:
    put(services, call("a", payload={"competitors": [], "call_id": "a"}))
    finish(services)
    assert signal_row(services, "a")["disposition"] == "nothing_due"
    report = again(services, "a", payload={"competitors": ["Initech"], "call_id": "a"})
    finish(services)
    row = signal_row(services, "a")
    assert (row["disposition"], row["payload"]["competitors"]) == ("acted", ["Initech"])
    former = one(services, "SELECT * FROM superseded WHERE kind = 'payload'")
    assert (former["record"]["competitors"], former["audit_id"]) == ([], report.audit_id)
    detail = one(services, "SELECT detail FROM trail WHERE what = 'replayed'")["detail"]
    assert len(set(detail["payload"])) == 2
    assert "Initech" not in json.dumps(detail)


@pytest.mark.parametrize(
    ("payload", "stage", "error"),
    [({"text": "a\0b"}, None, BadPayload), ({"x": 1}, "execute", Permanent)],
)
def test_a_payload_that_can_not_be_used_changes_nothing(
    services: Services, payload: dict[str, Any], stage: str | None, error: type[Exception]
) -> None:
    put(services, call("a"))
    finish(services)
    before = snapshot(services)
    with pytest.raises(error):
        again(services, "a", stage, payload=payload)
    assert snapshot(services) == before


# What may not be replayed


def in_flight(services: Services) -> Iterator[str]:
    put(services, call("a"))
    yield "received"
    run_stage(services, "enrich")
    yield "enriched"
    run_stage(services, "decide")
    yield "decided"
    run_stage(services, "execute")
    yield "create_task ready"


def test_a_signal_in_flight_is_refused_with_its_whereabouts(services: Services) -> None:
    for words in in_flight(services):
        for stage in replays.STAGES:
            report = again(services, "a", stage)
            assert report.counts == {"refused": 1}
            assert words in str(report.results[0].reason)
    assert trail_of(services, "a").count("replayed") == 0


def test_our_own_write_is_never_acted_on_however_often_it_is_replayed(services: Services) -> None:
    put(services, call("a", suppressed="own_write"))
    report = again(services, "a")
    assert report.counts == {"refused": 1}
    assert "own_write" in str(report.results[0].reason)


def test_a_bare_message_says_why_it_is_not_replayed(services: Services) -> None:
    with transaction(services.engine) as tx:
        bare = dead_letters.Letter("message:1", "message", "unknown_task", "no such task", message=b"{}")
        dead_letters.bury(tx, [bare], services.clock.now())
    report = replay(services)
    assert report.counts == {"refused": 1}
    assert "sent again by the sweep" in str(report.results[0].reason)
    assert len(letter_ids(services)) == 1


def test_strangers_are_refused(services: Services) -> None:
    assert replay(services, uuid.uuid4()).counts == {"refused": 1}
    assert again(services, "nobody").counts == {"refused": 1}


# In bulk


def bury_many(services: Services, provider: FakeProvider, count: int) -> None:
    put(services, *(call(f"s{number}", f"d{number}") for number in range(count)))
    provider.down = Permanent("gone")
    run_stage(services, "enrich")
    provider.down = None
    assert len(letter_ids(services)) == count


def test_a_dry_run_changes_nothing(services: Services, provider: FakeProvider, hubspot: FakeAdapter) -> None:
    dies_at("act", services, provider, hubspot)
    put(services, {"bad": "no_time"}, call("b", "d2"))
    finish(services)
    before = snapshot(services)
    replaceable: Sequence[Forecast] = [
        *replays.letter_forecasts(services, letter_ids(services)),
        *replays.signal_forecasts(services, [signal_id("a"), signal_id("b")], None),
        *replays.signal_forecasts(services, [signal_id("a"), signal_id("b")], "enrich"),
    ]
    assert len(replaceable) == 6
    assert snapshot(services) == before


def test_many_are_spread_over_time_by_the_ledger_itself(services: Services, provider: FakeProvider) -> None:
    bury_many(services, provider, 12)
    began = services.clock.now()
    report = replays.letters(services, letter_ids(services), replace(WORD, rate=4))
    assert report.counts == {"replayed": 12}
    due = [row["due_at"] - began for row in rows(services, "SELECT due_at FROM signals ORDER BY due_at")]
    assert due == [timedelta(seconds=number / 4) for number in range(12)]
    assert one(services, "SELECT count(*) AS n FROM signals WHERE sent_at IS NOT NULL") == {"n": 1}


def test_each_signal_of_a_period_is_replayed_and_the_audit_says_by_whom(
    services: Services, clock: MovableClock
) -> None:
    put(services, call("early", "d1"))
    start = clock.move(hours=1)
    put(services, call("b", "d2"), call("c", "d3", payload={"competitors": []}))
    finish(services)
    clock.move(hours=1)
    with transaction(services.engine) as tx:
        ids = replays.in_period(tx, Period(start, clock.now(), "fake", "call.completed", "nothing_due"))
        assert set(replays.in_period(tx, Period(start, clock.now()))) == {signal_id("b"), signal_id("c")}
    assert ids == [signal_id("c")]
    report = replays.signals(services, ids, replace(WORD, how={"source": "fake"}))
    with transaction(services.engine) as tx:
        (row,) = audit.listing(tx)
    assert (row["audit_id"], row["actor"], row["command"]) == (report.audit_id, "kim@desk", "test")
    assert row["detail"] == {"source": "fake", "count": 1, "ids": [str(ids[0])], "outcome": {"replayed": 1}}
    detail = one(services, "SELECT detail FROM trail WHERE what = 'replayed'")["detail"]
    assert detail == {"from": "decide", "audit": str(report.audit_id)}


def test_the_trace_tells_of_both_decisions_and_of_the_replay_between_them(
    services: Services, make_services: Callable[..., Services], clock: MovableClock
) -> None:
    put(services, call("a"))
    finish(services)
    clock.move(days=1)
    later = make_services(rules=one_rule(ALERT))
    report = replays.signals(later, [signal_id("a")], WORD, "decide")
    clock.move(seconds=1)
    finish(later)
    with transaction(services.engine) as tx:
        lines = view.lines(queries.story(tx, signal_id("a")))
    told = [line.strip() for line in lines]
    first, second = (at for at, line in enumerate(told) if "decided" in line and "version" in line)
    between = next(at for at, line in enumerate(told) if "replayed" in line)
    assert first < between < second
    assert f"audit {report.audit_id}" in told[between]
    assert "from decide" in told[between]
    assert any(line.startswith("rule rival") for line in told[first:between])
    assert any(line.startswith("rule only") for line in told[second:])
    assert services.rules.version in told[first]
    assert later.rules.version in told[second]
