"""An action's params in a form, and back."""

import pytest

from revpipe.web.console.fields import SHOWN, BadNumber, fields, typed

PARAMS = {
    "body": "Hi\nthere",
    "due_in_days": 2,
    "to": "kim@acme.example",
    "deal_id": "11",
    "properties": {"dealstage": "won", "step": "call"},
    "channel": None,
}


def test_whom_and_what_come_first() -> None:
    assert [one.name for one in fields(PARAMS)] == [
        "to",
        "channel",
        "body",
        "deal_id",
        "due_in_days",
        "properties.dealstage",
        "properties.step",
    ]


def test_which_record_it_is_about_is_not_typed() -> None:
    kinds = {one.name: one.kind for one in fields(PARAMS)}
    assert kinds == {
        "to": "line",
        "channel": "line",
        "body": "long",
        "deal_id": "fixed",
        "due_in_days": "number",
        "properties.dealstage": "line",
        "properties.step": "line",
    }
    assert typed(PARAMS, {"deal_id": "12"}) == {}


def test_only_what_was_changed_is_an_edit() -> None:
    same = {one.name: one.text for one in fields(PARAMS)}
    assert typed(PARAMS, same) == {}
    # Browsers send lines with both of their ends.
    assert typed(PARAMS, {**same, "body": "Hi\r\nthere"}) == {}
    assert typed(PARAMS, {**same, "body": "Hi\r\nyou"}) == {"body": "Hi\nyou"}
    assert typed(PARAMS, {**same, "due_in_days": "3", "to": ""}) == {"due_in_days": 3, "to": ""}


def test_an_entry_of_a_mapping_changes_that_one_alone() -> None:
    assert typed(PARAMS, {"properties.step": "mail"}) == {"properties": {"dealstage": "won", "step": "mail"}}
    both = typed(PARAMS, {"properties.step": "mail", "properties.dealstage": "lost"})
    assert both == {"properties": {"dealstage": "lost", "step": "mail"}}


@pytest.mark.parametrize("given", ["", "two", "1e", "1;2"])
def test_a_number_must_be_one(given: str) -> None:
    with pytest.raises(BadNumber, match="Due in days must be a number"):
        typed(PARAMS, {"due_in_days": given})


def test_a_page_shows_a_bounded_part_of_a_text() -> None:
    (field,) = fields({"body": "x" * (SHOWN + 1_234)})
    assert field.shown == "x" * SHOWN + "… (1,234 more characters)"
    assert len(field.text) == SHOWN + 1_234
