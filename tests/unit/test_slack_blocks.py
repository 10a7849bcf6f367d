"""How an alert becomes Block Kit: cut to Slack's limits, and nothing untrusted comes alive."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack import blocks

KEY = "0190f3c4a5b67c8d9e0f1a2b3c4d5e6f"


def alert(**params):
    return blocks.alert_blocks({"title": "Deal slipped", "text": "Close date moved", **params}, KEY)


def texts(found):
    for block in found:
        yield from (block[name]["text"] for name in ("text",) if name in block)
        yield from (item["text"] for name in ("fields", "elements") for item in block.get(name, ()))


def units(text):
    return len(text.encode("utf-16-le")) // 2


def test_header_text_fields_link_and_key_in_this_order():
    found = alert(fields={"Stage": "Negotiation", "Amount": 50000.0}, link="https://app.example.com/deals/1?a=1&b=2")
    assert [block["type"] for block in found] == ["header", "section", "section", "section", "context"]
    assert found[0]["text"] == {"type": "plain_text", "text": "Deal slipped", "emoji": False}
    assert [field["text"] for field in found[2]["fields"]] == ["Stage\nNegotiation", "Amount\n50,000"]
    assert found[3]["text"]["text"] == ("<https://app.example.com/deals/1?a=1&amp;b=2|Open at app.example.com>")
    assert KEY in found[4]["elements"][0]["text"]


def test_what_is_absent_leaves_no_empty_block():
    found = blocks.alert_blocks({"title": "T", "text": " ", "fields": {}, "link": None, "channel": None}, KEY)
    assert [block["type"] for block in found] == ["header", "context"]


def test_untrusted_text_never_stands_in_mrkdwn():
    evil = "<!channel> <https://evil.example|Acme> *bold*"
    found = alert(title=evil, text=evil, fields={evil: evil}, link="https://ok.example/x")
    holders = [item for block in found for item in [block.get("text"), *block.get("fields", ())] if item]
    assert {item["type"] for item in holders if "<!channel>" in item["text"]} == {"plain_text"}
    assert [item["text"] for item in holders if item["type"] == "mrkdwn"] == [
        "<https://ok.example/x|Open at ok.example>"
    ]


def test_the_fallback_text_is_escaped_and_short():
    text = blocks.fallback_text({"title": "a & b", "text": "<!here>\n" + "x" * 5000})
    assert text.startswith("a &amp; b\n&lt;!here&gt;")
    assert len(text) < 1100


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "app.example.com/x",
        "https://",
        "https://paypal.com@evil.example/",
        "https://[broken/",
        "https://a.example/" + "x" * 4000,
        "",
    ],
)
def test_what_is_no_web_address_is_no_link(link):
    assert [block["type"] for block in alert(link=link)] == ["header", "section", "context"]


def test_a_link_can_not_break_out_of_its_brackets():
    found = alert(link="https://a.example/x|Fake> <!channel>")
    assert found[2]["text"]["text"] == "<https://a.example/x%7CFake%3E%20%3C!channel%3E|Open at a.example>"


def test_fields_go_ten_to_a_section_and_the_rest_is_counted():
    found = alert(fields={f"F{number}": number for number in range(37)})
    assert [len(block["fields"]) for block in found if "fields" in block] == [10, 10, 10]
    assert "7 more fields left out" in found[-1]["elements"][0]["text"]


def test_each_text_may_be_as_long_as_slack_allows_and_no_longer():
    found = alert(title="T" * 999, text="x" * 9999, fields={"F": "y" * 9999})
    assert [units(text) for text in texts(found)][:3] == [150, 3000, 2000]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("  ", "–"),
        ([], "–"),
        (0, "0"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (50000.0, "50,000"),
        (0.25, "0.25"),
        (["Acme", "Globex"], "Acme, Globex"),
    ],
)
def test_values_are_shown_for_people(value, text):
    assert blocks.shown(value) == text


@pytest.mark.parametrize(("text", "limit"), [("x" * 151, 150), ("😀" * 80, 150), ("x😀" * 60, 150)])
def test_cut_keeps_to_the_limit_and_shows_it(text, limit):
    short = blocks.cut(text, limit)
    assert units(short) <= limit
    assert short.endswith("…")
    assert text.startswith(short[:-1])


def test_cut_leaves_alone_what_fits():
    assert blocks.cut("x" * 150, 150) == "x" * 150


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=400).filter(str.strip),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(lambda text: text * 40),
    st.dictionaries(st.text(max_size=60), st.text(max_size=300).map(lambda text: text * 12), max_size=45),
)
def test_no_input_breaks_a_limit(title, text, fields):
    found = alert(title=title, text=text, fields=fields)
    assert len(found) <= 50
    assert all(1 <= units(shown) <= 3000 for shown in texts(found))
    assert units(found[0]["text"]["text"]) <= 150
    assert all(units(item["text"]) <= 2000 for block in found for item in block.get("fields", ()))
    assert json.dumps(found)
