"""What rules may ask of a subject's past, and what stands in a new action's way."""

from datetime import UTC, datetime, timedelta
from typing import Any

from revpipe.plan_history import LOOK_BACK, TWIN, Known

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def action(rule: str, state: str, days: float, kind: str = "create_task") -> dict[str, Any]:
    return {
        "action_id": f"{rule} {days}",
        "rule_id": rule,
        "type": kind,
        "state": state,
        "reason": None,
        "suppressed_by": None,
        "created_at": NOW - timedelta(days=days),
    }


def known(*actions: dict[str, Any]) -> Known:
    return Known(list(actions), since=NOW - LOOK_BACK)


def test_rules_see_thirty_days_and_whatever_is_open() -> None:
    past = known(
        action("a", "done", 2),
        action("b", "done", 29),
        action("a", "done", 31),
        action("c", "ready", 90, "send_alert"),
        action("d", "rejected", 3),
        action("d", "rejected", 33),
        action("e", "suppressed", 1),
        action("e", "failed", 1),
    ).facts()
    assert past == {
        "open_actions": [{"rule": "c", "type": "send_alert"}],
        "actions_30d": 3,
        "rules_30d": ["a", "b", "c"],
        "last_action_at": NOW - timedelta(days=2),
        "rejected_30d": 1,
        "signals_7d": 0,
    }


def test_nothing_done_is_known_as_nothing() -> None:
    assert known().facts() == {
        "open_actions": [],
        "actions_30d": 0,
        "rules_30d": [],
        "last_action_at": None,
        "rejected_30d": 0,
        "signals_7d": 0,
    }


def test_a_cooldown_reaches_as_far_back_as_it_says() -> None:
    past = known(action("a", "done", 60))
    again = action("a", "planned", 0)
    assert past.in_the_way(again, timedelta(days=90), NOW) == ("a 60", "cooldown")
    assert past.in_the_way(again, timedelta(days=59), NOW) == (None, None)
    assert past.in_the_way(action("a", "planned", 0, "send_alert"), timedelta(days=90), NOW) == (None, None)


def test_what_a_twin_stood_in_for_counts_as_done_by_it() -> None:
    stood_in = action("b", "suppressed", 2) | {"reason": TWIN, "suppressed_by": "a 2"}
    week, again = timedelta(days=7), action("b", "planned", 0)
    assert known(action("a", "done", 2), stood_in).in_the_way(again, week, NOW) == ("a 2", "cooldown")
    assert known(action("a", "failed", 2), stood_in).in_the_way(again, week, NOW) == (None, None)
    assert known(stood_in).in_the_way(again, week, NOW) == (None, None)
