"""The trace on hand-made stories: what a person on call must be able to read off it."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from revpipe.story import view as trace_view
from revpipe.story import words as story_words

START = datetime(2026, 3, 5, 9, 0, 0, tzinfo=UTC)
TASK, ALERT, WINNER = (uuid.UUID(int=number) for number in (1, 2, 3))
MANY_LINES = "deal.open_task_subjects == null\n    || !deal.open_task_subjects.exists(s,\n        s == 'x')"


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def signal(**more: Any) -> dict[str, Any]:
    told = {
        "signal_id": uuid.UUID(int=10),
        "correlation_id": uuid.UUID(int=11),
        "delivery_id": uuid.UUID(int=12),
        "event": "deal.stage_changed",
        "source": "hubspot",
        "deal_id": "77",
        "account_id": None,
        "contact_id": None,
        "payload": {"property": "dealstage", "new_value": "won", "change_source": "CRM_UI", "object_type": "deal"},
        "priority": "high",
        "fired_at": START,
        "received_at": after(0.05),
        "done_at": after(3),
        "due_at": START,
        "state": "done",
        "queue": None,
        "disposition": "acted",
        "reason": None,
    }
    return told | more


def story(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "signal": signal(),
        "context": None,
        "plan": None,
        "actions": [],
        "approvals": [],
        "trail": [],
        "dead_letters": [],
    }
    return told | more


def row(what: str, seconds: float, action: uuid.UUID | None = None, **detail: Any) -> dict[str, Any]:
    return {"what": what, "at": after(seconds), "trail_id": uuid.uuid4(), "action_id": action, "detail": detail}


def action(id: uuid.UUID = TASK, **more: Any) -> dict[str, Any]:
    told = {
        "action_id": id,
        "type": "create_task",
        "state": "done",
        "rule_id": "stage-moved-back",
        "adapter": "hubspot",
        "params": {"subject": "Call the buyer"},
        "effect": None,
        "reason": None,
        "suppressed_by": None,
        "done_at": None,
        "queue": None,
        "due_at": START,
    }
    return told | more


def plan(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"decided_by": "rules", "rules_version": "abc", "why": {"rules": list(rules)}}


def rule(name: str, fired: bool, *terms: tuple[str, bool, dict[str, Any]]) -> dict[str, Any]:
    told = [{"expression": words, "held": held, "values": values} for words, held, values in terms]
    return {"rule": name, "fired": fired, "listened": True, "terms": told}


def context(**deal: Any) -> dict[str, Any]:
    parts = {"deal": {"value": {"id": "77", **deal}, "missing": None}, "intent": {"value": None, "missing": "circuit"}}
    return {"parts": parts, "created_at": START}


def told(**more: Any) -> str:
    return "\n".join(trace_view.lines(story(**more)))


def line(text: str, *words: str) -> str:
    """The one line that holds all of `words`."""
    (found,) = [one for one in text.splitlines() if all(word in one for word in words)]
    return found


def test_the_header_names_event_subject_ending_and_cause() -> None:
    text = told(context=context(name="Hooli, seats"))
    assert text.splitlines()[0] == "deal.stage_changed · Hooli, seats (deal 77) · acted"
    assert str(uuid.UUID(int=10)) in text
    assert "hubspot (CRM_UI)" in text
    assert "dealstage became won" in text
    assert "fired 2026-03-05 09:00:00 UTC · received 50 ms later · ended 3 s after firing" in text


def test_times_are_in_utc_wherever_the_database_is() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    assert "fired 2026-03-05 09:00:00 UTC" in told(signal=signal(fired_at=START.astimezone(there)))


@pytest.mark.parametrize(
    ("more", "ending"),
    [
        ({"disposition": "nothing_due", "reason": "rule:ordinary-property"}, "nothing due (rule ordinary-property)"),
        ({"disposition": "suppressed", "reason": "own_write"}, "suppressed (own write)"),
        (
            {"disposition": None, "state": "parked", "queue": "enrich.high", "due_at": after(60), "done_at": None},
            "under way: parked in enrich.high, due 2026-03-05 09:01:00 UTC",
        ),
    ],
)
def test_the_ending_tells_its_reason_or_what_is_waited_for(more: dict[str, Any], ending: str) -> None:
    assert told(signal=signal(**more)).splitlines()[0].endswith(ending)


def test_what_was_known_of_the_deal_is_one_line_without_people() -> None:
    text = told(
        context=context(
            name="Hooli, seats",
            stage_label="Contract sent",
            amount=48000.0,
            currency="EUR",
            close_date="2026-03-14T00:00:00Z",
            last_activity_at="2026-02-21T08:00:00Z",
            owner_name="Kim Ode",
        )
    )
    known = "Hooli, seats · stage Contract sent · 48,000 EUR · closes 2026-03-14 (in 9 days) · idle 12 days"
    assert line(text, "known").strip() == f"known  {known}"
    assert "Kim Ode" not in text


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("2026-03-05T00:00:00Z", "(today)"),
        ("2026-03-01", "(4 days overdue)"),
        (None, "no close date"),
        ("soon", "no close"),
    ],
)
def test_a_close_date_is_told_by_its_distance(date: str | None, words: str) -> None:
    assert words in line(told(context=context(name="H", close_date=date)), "known")


def test_a_contacts_new_value_is_not_shown() -> None:
    payload = {"property": "phone", "new_value": "+49 30 5550100", "object_type": "contact"}
    text = told(signal=signal(payload=payload, deal_id=None, contact_id="9"))
    assert "phone became (not shown)" in text
    assert "5550100" not in text


def test_a_row_tells_wait_duration_worker_and_later_attempts_only() -> None:
    first = row("enriched", 0.4, waited_ms=13, took_ms=376, attempt=1, worker="w:1", parts={}, urgency=["low", "high"])
    third = row("decided", 75, waited_ms=61_000, took_ms=4, attempt=3, worker="w:2")
    text = told(trail=[first, third])
    enriched = "+350 ms  enriched   urgency low → high · waited 13 ms, took 376 ms · by w:1"
    assert line(text, "enriched").strip() == enriched
    assert line(text, "decided").strip() == "+1 min 14 s  decided    waited 1 min 1 s, took 4 ms · attempt 3 · by w:2"


def test_a_missing_part_tells_why() -> None:
    text = told(context=context(), trail=[row("enriched", 1, parts={"deal": "hubspot", "intent": "circuit"})])
    assert "deal from hubspot; intent missing (circuit)" in text


def test_a_rule_shows_each_term_on_one_line_with_its_values() -> None:
    fired = rule("quiet", True, ("deal.idle_days > 10", True, {"deal.idle_days": 12}), (MANY_LINES, True, {"x": None}))
    text = told(plan=plan(fired, rule("other", False)), trail=[row("decided", 1)], actions=[action()])
    assert "deal.idle_days > 10   [deal.idle_days = 12]" in text
    folded = "deal.open_task_subjects == null || !deal.open_task_subjects.exists(s, s == 'x')   [x = null]"
    assert folded in text
    assert "other" not in text


def test_beside_actions_the_rules_that_did_not_fire_are_told_when_asked_for() -> None:
    fired = rule("quiet", True, ("deal.idle_days > 10", True, {"deal.idle_days": 12}))
    others = [
        rule("late", False, ("deal.amount > 5", True, {}), ("deal.overdue", False, {"deal.overdue": False})),
        rule("big", False, ("deal.amount >= 50000", None, {"deal.amount": None})),
        *(rule(f"more-{number}", False, ("deal.is_won", False, {})) for number in range(9)),
    ]
    made = story(plan=plan(fired, *others), trail=[row("decided", 1)], actions=[action()])
    assert "not late" not in "\n".join(trace_view.lines(made))
    text = "\n".join(trace_view.lines(made, all_rules=True))
    assert "not late: deal.overdue   [deal.overdue = false]" in text
    assert "not big (not known): deal.amount >= 50000   [deal.amount = null]" in text
    assert text.count("not more-") == 9


def test_a_rule_in_shadow_says_what_it_would_have_done() -> None:
    actions = [{"type": "create_task", "reason": None}, {"type": "send_alert", "reason": "cooldown"}]
    outcomes = [
        {"rule_id": "tried", "settles": True, "actions": actions},
        {"rule_id": "noise", "settles": False, "actions": []},
    ]
    text = told(plan=plan(rule("quiet", False)), trail=[row("decided", 1)], shadow_outcomes=outcomes)
    told_of = line(text, "in shadow tried").strip()
    assert told_of.startswith("in shadow tried: would have planned create_task; held back send_alert (cooldown);")
    assert told_of.endswith("would have settled the signal")
    assert line(text, "in shadow noise").strip() == "in shadow noise: fired"


def test_an_action_that_its_rule_wants_no_more_says_so() -> None:
    text = told(trail=[row("expired", 1, TASK, by="rule", reason="no_longer_wanted", after_s=1500)], actions=[action()])
    assert "its rule wanted it no longer, 25 min after it was planned" in text


def test_when_nothing_was_due_each_rule_tells_what_kept_it() -> None:
    terms = (("deal.amount > 5", True, {}), ("deal.overdue", False, {"deal.overdue": False}))
    text = told(plan=plan(rule("late", False, *terms)), trail=[row("decided", 1)])
    assert "no rule fired" in text
    assert "not late: deal.overdue   [deal.overdue = false]" in text
    assert "deal.amount" not in text


def test_an_action_shows_effect_and_whose_word_let_it_through() -> None:
    done = action(effect={"external_id": "310", "url": "https://crm.example/310"}, done_at=after(2))
    word = {
        "action_id": TASK,
        "state": "approved",
        "decided_at": after(1),
        "decided_by": "kim",
        "reason": None,
        "expires_at": after(9),
    }
    text = told(actions=[done], approvals=[word], trail=[row("approved", 1, TASK)])
    assert "create_task     done" in line(text, str(TASK))
    assert "“Call the buyer”" in text
    assert "approved by kim at 2026-03-05 09:00:01 UTC · hubspot 310 · https://crm.example/310 · 2 s after" in text
    assert line(text, "+950 ms").strip() == "+950 ms  approved   create_task · by kim"


def test_an_open_approval_tells_until_when() -> None:
    word = {"action_id": TASK, "state": "open", "decided_at": None, "decided_by": None, "expires_at": after(3600)}
    waits = action(state="awaiting_approval")
    text = told(signal=signal(disposition=None, state="waiting"), actions=[waits], approvals=[word])
    assert text.splitlines()[0].endswith("waits for a person")
    assert "a person must decide by 2026-03-05 10:00:00 UTC" in text


def test_a_suppressed_action_names_the_winner() -> None:
    lost = action(state="suppressed", suppressed_by=WINNER, reason="already_open")
    text = told(actions=[lost], trail=[row("suppressed", 1, TASK, by=str(WINNER), reason="already_open")])
    assert text.count(f"action {WINNER} wins") == 2


def test_retries_and_parks_tell_error_and_wait() -> None:
    retry = row("retry", 1, TASK, attempt=2, reason="rate_limited", error="rate_limited", wait_s=4.0)
    parked = row("parked", 2, reason="transient", error="transient", where="hubspot 503", wait_s=120.0)
    text = told(actions=[action()], trail=[retry, parked])
    assert line(text, "retry").strip() == "+950 ms  retry      create_task · rate limited · again in 4 s · attempt 2"
    assert line(text, "parked").endswith("hubspot 503, transient · again in 2 min")


def test_a_dead_letter_is_told_on_a_line_however_long_its_error() -> None:
    letter = {
        "letter_id": uuid.UUID(int=5),
        "stage": "act",
        "attempts": 8,
        "last_at": after(9),
        "reason": "permanent",
        "error": "x" * 300 + "\nmore",
    }
    text = told(dead_letters=[letter])
    assert f"dead letter {uuid.UUID(int=5)} of stage act after 8 attempts, 2026-03-05 09:00:09 UTC" in text
    assert "permanent: xxx" in text


def test_a_detail_without_words_of_its_own_is_still_shown() -> None:
    assert "budget_left 3" in told(trail=[row("novelty", 1, budget_left=3)])


def test_actions_planned_together_share_a_line_and_keep_apart_by_id() -> None:
    two = [action(TASK), action(ALERT)]
    text = told(actions=two, trail=[row("planned", 1, TASK), row("planned", 1, ALERT)])
    assert line(text, "planned").endswith(f"create_task {str(TASK)[:8]}, create_task {str(ALERT)[:8]}")


def test_a_whole_story_fits_a_screen() -> None:
    terms = tuple((MANY_LINES * 3, True, {"deal.name": "n" * 90, "deal.stage": "s" * 90}) for _ in range(3))
    actions = [
        action(uuid.UUID(int=number), type=kind, params={"title": "t" * 200}, effect={"external_id": "e" * 40})
        for number, kind in ((1, "create_task"), (2, "send_alert"), (3, "draft_followup"))
    ]
    whole = story(
        context=context(name="N" * 200),
        plan=plan(rule("long", True, *terms)),
        actions=actions,
        trail=[
            row("received", 0.1, urgency="high"),
            row("enriched", 1, parts={"deal": "hubspot"}, worker="w" * 30),
            row("decided", 1),
            *(row("planned", 1, one["action_id"]) for one in actions),
            row("released", 1),
            *(row("done", 2, one["action_id"], external_id="e" * 40, worker="w" * 30) for one in actions),
            row("settled", 2, disposition="acted"),
        ],
    )
    lines = trace_view.lines(whole)
    assert len(lines) < 30
    assert max(map(len, lines)) <= 140


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.013, "13 ms"),
        (4.25, "4.25 s"),
        (59.0, "59 s"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (3600, "1 h"),
        (277_200, "3 d 5 h"),
        (-2, "-2 s"),
    ],
)
def test_lengths_of_time_are_for_people(seconds: float, words: str) -> None:
    assert story_words.span(seconds) == words


def test_a_term_that_two_rules_share_is_told_once() -> None:
    shared = ("deal.is_closed == false", True, {"deal.is_closed": False})
    own = ("signal.deals_on_call == 1", True, {"signal.deals_on_call": 1})
    text = told(plan=plan(rule("first", True, shared), rule("second", True, shared, own)), trail=[row("decided", 1)])
    assert text.count("deal.is_closed == false") == 1
    assert "rule second (1 of its terms are above)" in text
    assert "signal.deals_on_call == 1" in text
