import uuid
from datetime import UTC, datetime, timedelta

import pytest

from adapters.hubspot.answers import Entry
from adapters.hubspot.changes import Changed, change_value, changed
from revpipe.signals import Signal

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def signal(source="hubspot", **payload):
    return Signal(
        signal_id=uuid.uuid4(), signal_type="crm_event", event="deal.property_changed", source=source,
        payload=payload, urgency="low", confidence=1.0, fired_at=AT, received_at=AT,
        delivery_id=uuid.uuid4(), correlation_id=uuid.uuid4(),
    )  # fmt: skip


def entries(*rows):
    return [Entry(value, AT + timedelta(seconds=seconds)) for value, seconds in rows]


def change(new, *rows, name="dealstage"):
    return change_value(signal(new_value=new), name, entries(*rows))


@pytest.mark.parametrize(
    ("object_type", "path"),
    [
        ("deal", "deals"),
        ("account", "companies"),
        ("ticket", "tickets"),
        ("2-4711", "2-4711"),
        ("conversation", None),
        ("../x", None),
        (None, None),
    ],
)
def test_what_changed(object_type, path):
    found = changed(signal(object_type=object_type, object_id="7", property="x", new_value="1"))
    assert found == (Changed(path, "7", "x") if path else None)


def test_no_change_without_property_or_record_or_from_elsewhere():
    assert changed(signal(object_type="deal", object_id="7")) is None
    assert changed(signal(object_type="deal", property="x")) is None
    assert changed(signal("gong", object_type="deal", object_id="7", property="x")) is None


def test_the_value_before():
    assert change("b", ("b", 0), ("a", -60))["old_value"] == "a"
    assert change("b", ("b", 0))["old_value"] is None


def test_a_value_set_twice_is_told_by_its_time():
    value = change("b", ("b", 300), ("c", 200), ("b", 0), ("a", -60))
    assert (value["old_value"], value["at"]) == ("a", "2026-11-20T09:00:00Z")


@pytest.mark.parametrize(
    ("rows", "overtaken"),
    [
        ([("b", 0), ("a", -60)], False),
        ([("c", 5), ("b", 0), ("a", -60)], True),
        ([("b", 5), ("c", 3), ("b", 0)], False),
        ([("b", 1), ("a", -60)], False),
        ([("a", -60), ("z", -120)], False),
    ],
)
def test_overtaken_is_a_newer_other_value(rows, overtaken):
    assert change("b", *rows)["overtaken"] is overtaken


def test_a_history_that_lags_or_hides_the_value_tells_what_held_before():
    assert change("b", ("a", -60), ("z", -120))["old_value"] == "a"
    assert change("REDACTED", ("secret", 1), ("older", -60))["old_value"] == "older"


def test_a_cleared_value_is_none():
    value = change("", ("", 0), ("a", -60))
    assert (value["old_value"], value["new_value"]) == ("a", None)


def test_amounts_are_numbers_and_dates_are_iso():
    amount = change("52000", ("52000", 0), ("48000.50", -60), name="amount")
    assert (amount["old_value"], amount["new_value"]) == (48000.5, 52000.0)
    date = change("1767225600000", ("2026-01-01T00:00:00Z", 0), ("2025-12-01T00:00:00Z", -60), name="renewal")
    assert (date["old_value"], date["new_value"]) == ("2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z")
    other = change("198765432101", ("198765432101", 0), ("198765432100", -60), name="partner_id")
    assert (other["old_value"], other["new_value"]) == ("198765432100", "198765432101")
