"""Facts: every field present and of its type, and the derived numbers at their edges."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from revpipe.ports import Part
from revpipe.rules.fields import EVENTS, FIELDS, Field
from revpipe.rules.vocabulary import facts, shape
from revpipe.signals import Signal

NOW = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)


def a_signal(event: str = "deal.stage_changed", **changes: Any) -> Signal:
    values: dict[str, Any] = {
        "signal_id": uuid.UUID(int=1),
        "signal_type": "call_complete" if event == "call.completed" else "crm_event",
        "event": event,
        "source": "hubspot",
        "payload": {"object_type": "deal", "object_id": "42"},
        "urgency": "standard",
        "confidence": 0.9,
        "fired_at": NOW,
        "received_at": NOW,
        "delivery_id": uuid.UUID(int=2),
        "correlation_id": uuid.UUID(int=3),
        "deal_id": "42",
    }
    return Signal(**{**values, **changes})


def derive(signal: Signal | None = None, history: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    given = {name: Part(name, "hubspot", NOW, value) for name, value in parts.items()}
    return dict(facts(signal or a_signal(), given, history or {}, NOW))


def test_every_field_is_there_even_when_nothing_is_known() -> None:
    made = derive(a_signal("unknown", payload={}, deal_id=None))
    assert {root: set(made[root]) for root in FIELDS if root != "now"} == {
        root: set(fields) for root, fields in FIELDS.items() if root != "now"
    }
    assert all(value is None for root in ("deal", "account", "contact", "calls") for value in made[root].values())
    assert made["now"] == NOW


def test_a_part_that_is_missing_leaves_the_ids_of_the_signal() -> None:
    signal = a_signal(account_id="7", contact_id="9")
    made = facts(signal, {"deal": Part("deal", "hubspot", NOW, None, missing="not_found")}, {}, NOW)
    assert isinstance(made["deal"], Mapping)
    assert made["deal"]["id"] == "42"
    assert made["deal"]["name"] is None
    assert (derive(signal)["account"]["id"], derive(signal)["contact"]["id"]) == ("7", "9")
    assert derive(signal, deal={"account_id": "8"})["account"]["id"] == "8"


@pytest.mark.parametrize(
    ("close_date", "days", "overdue"),
    [
        ("2026-03-10T00:00:00+00:00", 0, False),
        ("2026-03-10T23:59:59Z", 0, False),
        ("2026-03-11T00:00:00Z", 1, False),
        ("2026-03-09T23:59:59Z", -1, True),
        ("2026-03-10T23:30:00-05:00", 1, False),
        ("2026-03-31", 21, False),
        ("2026-02-08", -30, True),
        ("some day", None, None),
        (None, None, None),
    ],
)
def test_days_to_close_are_calendar_days_in_utc(close_date: Any, days: Any, overdue: Any) -> None:
    deal = derive(deal={"close_date": close_date, "is_closed": False})["deal"]
    assert (deal["days_to_close"], deal["overdue"]) == (days, overdue)


def test_a_closed_deal_is_never_overdue() -> None:
    assert derive(deal={"close_date": "2026-01-01", "is_closed": True})["deal"]["overdue"] is False


@pytest.mark.parametrize(
    ("ago", "days"),
    [
        (timedelta(0), 0),
        (timedelta(hours=23, minutes=59), 0),
        (timedelta(days=10, hours=23), 10),
        (-timedelta(3), 0),
    ],
)
def test_idle_days_are_whole_days(ago: timedelta, days: int) -> None:
    deal = derive(deal={"last_activity_at": (NOW - ago).isoformat(), "entered_stage_at": (NOW - ago).isoformat()})
    assert deal["deal"]["idle_days"] == days
    assert deal["deal"]["days_in_stage"] == days


@pytest.mark.parametrize(
    ("ago", "hours"),
    [
        (timedelta(0), 0),
        (timedelta(minutes=59), 0),
        (timedelta(hours=71, minutes=59), 71),
        (timedelta(days=3), 72),
        (timedelta(days=200), 4800),
        (-timedelta(minutes=90), 0),
    ],
)
def test_a_signals_age_is_in_whole_hours_and_never_negative(ago: timedelta, hours: int) -> None:
    assert derive(a_signal("call.completed", fired_at=NOW - ago))["signal"]["age_hours"] == hours


@pytest.mark.parametrize(
    ("days", "pushes"),
    [
        ([], 0),
        (["2026-03-01"], 0),
        (["2026-03-01", "2026-04-01"], 1),
        (["2026-03-01", "2026-04-01", "2026-03-15", "2026-05-01"], 2),
        (["2026-03-01T08:00:00Z", "2026-03-01T17:00:00Z"], 0),
        (["2026-03-01", None, "2026-04-01"], 1),
    ],
)
def test_a_push_is_a_move_to_a_later_day(days: list[Any], pushes: int) -> None:
    oldest_first = [{"value": day, "at": f"2026-01-{place + 1:02}T00:00:00Z"} for place, day in enumerate(days)]
    assert derive(deal={"close_date_history": oldest_first[::-1]})["deal"]["close_date_pushes"] == pushes


def test_pushes_are_not_known_without_a_history() -> None:
    assert derive(deal={})["deal"]["close_date_pushes"] is None


STAGES = [
    {"stage": "demo", "order": 1, "at": "2026-03-10T15:00:00Z"},
    {"stage": "contract", "order": 3, "at": "2026-02-01T00:00:00Z"},
    {"stage": "demo", "order": 1, "at": "2026-01-01T00:00:00Z"},
]


@pytest.mark.parametrize(
    ("change", "history", "back"),
    [
        ({"property": "dealstage", "old_value": "contract", "new_value": "demo"}, STAGES, True),
        ({"property": "dealstage", "old_value": "demo", "new_value": "contract"}, STAGES, False),
        ({"property": "dealstage", "old_value": None, "new_value": "demo"}, STAGES, True),
        ({"property": "dealstage", "old_value": "gone", "new_value": "contract"}, STAGES, False),
        (None, STAGES, True),
        (None, STAGES[:1], None),
        (None, None, None),
    ],
)
def test_a_step_back_is_a_change_to_an_earlier_stage(change: Any, history: Any, back: bool | None) -> None:
    assert derive(deal={"stage_history": history}, change=change)["deal"]["stage_moved_back"] is back


def test_only_a_stage_change_can_be_a_step_back() -> None:
    made = derive(a_signal("deal.amount_changed"), deal={"stage_history": STAGES})
    assert made["deal"]["stage_moved_back"] is None


def test_a_change_brings_old_and_new_value_and_their_difference() -> None:
    change = {"property": "amount", "old_value": "60000", "new_value": "45000", "at": "x", "overtaken": True}
    signal = derive(a_signal("deal.amount_changed"), change=change)["signal"]
    assert (signal["property"], signal["old_value"], signal["new_value"]) == ("amount", "60000", "45000")
    assert (signal["old_number"], signal["new_number"], signal["change_percent"]) == (60000.0, 45000.0, -25.0)
    assert signal["stale"] is True
    zero = derive(change={"property": "amount", "old_value": "0", "new_value": "5"})["signal"]
    assert (zero["change_percent"], zero["stale"]) == (None, False)


def test_without_its_history_a_change_still_has_the_new_value() -> None:
    signal = derive(a_signal(payload={"property": "amount", "new_value": "5"}))["signal"]
    assert (signal["property"], signal["old_value"], signal["new_value"]) == ("amount", None, "5")


def test_a_call_brings_its_competitors_and_counts_among_the_recent_ones() -> None:
    payload = {
        "call_id": "c9",
        "title": "Review",
        "url": "https://app.gong.io/call?id=c9",
        "started_at": "2026-03-10T14:00:00Z",
        "competitors": ["Initech"],
        "competitor_said_by": "external",
        "trackers": [{"id": "1", "name": "Pricing", "count": 2}],
        "deals_on_call": 1,
    }
    recent = [
        {"call_id": "c8", "started_at": "2026-02-25T15:30:01Z", "competitors": ["Globex"], "said_by": "internal"},
        {
            "call_id": "c7",
            "started_at": "2026-02-24T15:30:00Z",
            "competitors": ["Umbrella"],
            "said_by": "internal",
        },
    ]
    made = derive(a_signal("call.completed", payload=payload), calls={"recent": recent, "competitors": ["Globex"]})
    assert made["signal"]["competitors"] == ["Initech"]
    assert (made["signal"]["said_by"], made["signal"]["trackers"]) == ("external", ["Pricing"])
    assert made["calls"]["competitors"] == ["Initech", "Globex", "Umbrella"]
    assert made["calls"]["competitors_14d"] == ["Initech", "Globex"]
    assert (made["calls"]["count"], made["calls"]["days_since_last"], made["calls"]["last_title"]) == (
        3,
        0,
        "Review",
    )


def test_known_and_unknown_calls_differ() -> None:
    assert derive(calls={"recent": []})["calls"]["competitors_14d"] == []
    assert derive()["calls"]["competitors_14d"] is None


def test_history_and_tasks_are_laid_out_for_rules() -> None:
    made = derive(
        history={
            "open_actions": [{"rule": "idle", "type": "create_task"}],
            "actions_30d": 2,
            "rules_30d": ["idle"],
            "last_action_at": NOW,
            "rejected_30d": 1,
            "signals_7d": 5,
        },
        deal={"open_tasks": [{"id": "1", "subject": "Competitive plan"}, {"id": "2", "subject": None}]},
    )
    assert made["history"] == {
        "open_actions": [{"rule": "idle", "type": "create_task"}],
        "open_rules": ["idle"],
        "open_types": ["create_task"],
        "actions_30d": 2,
        "rules_30d": ["idle"],
        "last_action_at": NOW.isoformat(),
        "rejected_30d": 1,
        "signals_7d": 5,
    }
    assert made["deal"]["open_task_subjects"] == ["Competitive plan"]


@pytest.mark.parametrize(
    ("value", "type_name", "shaped"),
    [
        (50000, "float", 50000.0),
        ("12.5", "float", 12.5),
        (float("nan"), "float", None),
        ("1e999", "float", None),
        (True, "float", None),
        ("7", "int", 7),
        (7.0, "int", 7),
        (7.5, "int", None),
        (2**70, "int", None),
        ("yes", "bool", None),
        (42, "text", "42"),
        (["a"], "text", None),
        ("2026-01-01", "time", "2026-01-01T00:00:00+00:00"),
        ("soon", "time", None),
        (["a", None, 3], "texts", ["a"]),
        ("a", "texts", None),
        ([{"rule": "r", "type": "t", "x": 1}, 3], "maps", [{"rule": "r", "type": "t"}]),
    ],
)
def test_a_value_has_its_promised_type_or_is_absent(value: Any, type_name: str, shaped: Any) -> None:
    made = shape(value, Field(type_name, "", keys=("rule", "type")))
    assert made == shaped
    assert type(made) is type(shaped)


def test_events_cover_the_shared_names() -> None:
    assert {"deal.stage_changed", "deal.close_date_changed", "deal.amount_changed", "deal.owner_changed"} <= set(EVENTS)
    assert {"contact.privacy_deleted", "conversation.message", "call.completed", "unknown"} <= set(EVENTS)
    assert {f"{thing}.merged" for thing in ("deal", "account", "contact", "ticket", "object")} <= set(EVENTS)
