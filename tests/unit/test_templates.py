"""Params: filled from facts, typed where they stand alone, inert whatever strangers write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revpipe.rules import samples
from revpipe.rules.fields import FIELDS
from revpipe.rules.template_filters import MAX_ITEMS, MAX_TEXT
from revpipe.rules.templates import compile_params, param_faults, template_faults

HOSTILE = (
    "{{ 7 * 7 }}",
    "{% for x in range(9) %}x{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "${7*7} <!channel> <script>alert(1)</script>",
    "}} {{ deal.amount }} {{",
    "{# gone #}",
)


def fill(template: Any, **deal: Any) -> Any:
    facts = samples.absent()
    facts["deal"].update(deal)
    return compile_params(template)(facts)


@pytest.mark.parametrize(
    ("template", "deal", "filled"),
    [
        ("{{ deal.id }}", {"id": "42"}, "42"),
        ("{{ deal.id }}", {}, None),
        ("{{ deal.close_date_pushes }}", {"close_date_pushes": 3}, 3),
        ("{{ deal.overdue }}", {"overdue": False}, False),
        ("{{ deal.contact_ids }}", {"contact_ids": ["1", "2"]}, ["1", "2"]),
        ("{{ deal.owner_id or account.id }}", {}, None),
        ("{{ deal.name or 'this deal' }}", {}, "this deal"),
        ("{{ 'a' if deal.overdue else 'b' }}", {"overdue": True}, "a"),
        ("{{ 'a' if deal.overdue }}", {}, None),
        ("Deal {{ deal.name }}!", {}, "Deal !"),
        ("{{ deal.name }} {{ deal.amount }}", {"name": "A", "amount": 5.0}, "A 5"),
        ("{{ deal.amount | number }} EUR", {"amount": 60000.0}, "60,000 EUR"),
        ("{{ deal.amount | number }} EUR", {"amount": -1234.56}, "-1,235 EUR"),
        ("by {{ deal.close_date | day }}", {"close_date": "2026-03-01T23:30:00-05:00"}, "by 2026-03-02"),
        ("{{ deal.contact_ids | first }}", {"contact_ids": []}, None),
        ("{{ deal.contact_ids | words }}", {"contact_ids": ["a", "b", "c"]}, "a, b and c"),
        ("{% if deal.is_won %}won{% else %}open{% endif %}", {"is_won": True}, "won"),
        ("it is {{ now }}", {}, "it is 2026-01-20T12:00:00+00:00"),
        (7, {}, 7),
        (None, {}, None),
        ("plain { text }", {}, "plain { text }"),
        ({"a": ["{{ deal.id }}", {"b": True}]}, {"id": "4"}, {"a": ["4", {"b": True}]}),
    ],
)
def test_templates_are_filled(template: Any, deal: dict[str, Any], filled: Any) -> None:
    assert list(param_faults(template)) == []
    assert fill(template, **deal) == filled
    assert type(fill(template, **deal)) is type(filled)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("template", ["{{ deal.name }}", "{{ deal.name or 'x' }}"])
def test_what_a_stranger_writes_stays_as_it_is(template: str, text: str) -> None:
    assert fill(template, name=text, amount=9.0) == text
    assert fill("Deal: " + template, name=text, amount=9.0) == "Deal: " + text


def test_a_line_stays_one_line_and_a_body_keeps_its_lines() -> None:
    name = "Hooli\r\nBcc: all@example.com"
    assert fill("About {{ deal.name }}", name=name) == "About Hooli Bcc: all@example.com"
    assert fill("Hello\n{{ deal.name }}", name=name).count("\n") == 2


def test_what_postgresql_cannot_store_is_left_out() -> None:
    assert fill("{{ deal.name }}", name="a\x00b\ud800c") == "abc"
    assert fill("x{{ deal.name }}", name="a\x00b\ud800c") == "xabc"


def test_sizes_are_bounded() -> None:
    assert len(fill("{{ deal.name }}", name="x" * 10_000)) == MAX_TEXT
    assert len(fill("{{ deal.name }}" * 9 + "!", name="x" * 10_000)) == MAX_TEXT
    assert len(fill("{{ deal.contact_ids }}", contact_ids=["1"] * 1000)) == MAX_ITEMS


@pytest.mark.parametrize(
    ("template", "part_of_fault"),
    [
        ("{{ deal.nme }}", "did you mean deal.name?"),
        ("{{ deel.name }}", "did you mean deal?"),
        ("{{ deal }}", "unknown field deal."),
        ("{{ deal.name", "is not a template"),
        ("{{ deal.name | nubmer }}", "did you mean number?"),
        ("{{ deal.name | words(3) }}", "can't be filled"),
        ("{{ deal.amount * 2 }}", "can't be used"),
        ("{{ deal.amount > 2 }}", "only == and !="),
        ("{{ deal['name'] }}", "can't be used"),
        ("{{ deal.name.upper() }}", "can't be used"),
        ("{{ deal.name.__class__ }}", "can't be used"),
        ("{{ deal.__class__ }}", "unknown field deal.__class__"),
        ("{{ range(9) }}", "can't be used"),
        ("{% for x in deal.contact_ids %}{% endfor %}", "can't be used"),
        ("{% set x = 1 %}", "can't be used"),
        ("{% include 'x' %}", "can't be used"),
        ("{{ deal.name ~ 'x' }}", "can't be used"),
        ("x" * 10_001, "longer than"),
    ],
)
def test_a_faulty_template_is_refused(template: str, part_of_fault: str) -> None:
    faults = template_faults(template)
    assert any(part_of_fault in fault for fault in faults), faults
    if "{" in template:
        with pytest.raises(ValueError):
            compile_params(template)


def test_a_fault_names_its_place_and_keys_are_not_templates() -> None:
    faults = list(param_faults({"fields": {"{{ deal.id }}": "x"}, "list": ["ok", "{{ deal.nme }}"]}))
    assert [path for path, _ in faults] == [("fields", "{{ deal.id }}"), ("list", 1)]


def test_no_field_is_hidden_by_a_method_of_the_mapping_that_holds_it() -> None:
    assert not [name for fields in FIELDS.values() for name in fields if name in dir(dict)]


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.text() | st.none())
    | st.dictionaries(st.text(), st.integers())
)
def test_filling_never_fails_whatever_a_fact_is(value: Any) -> None:
    for name in ("number", "day", "first", "bullets", "words"):
        fill("{{ deal.name | " + name + " }}", name=value)
        assert isinstance(fill("> {{ deal.name | " + name + " }}", name=value), str)
