"""The report of a comparison: whole by itself, and nothing that a stranger wrote is markup in it."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from revpipe.simulating import charts
from revpipe.simulating.changes import Cause, Change, Side
from revpipe.simulating.report import MOST_SIGNALS, Report, page
from revpipe.simulating.run import Compared

AT = datetime(2026, 5, 4, 9, tzinfo=UTC)
EVIL = "</td><script>alert('1')</script><img src=x onerror=\"x\">&amp;"
VOID = {"meta", "br", "img", "input", "link"}


class Reader(HTMLParser):
    """Checks that what is opened is closed, and remembers tags and their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def change(number: int, rule: str = "r", values: Mapping[str, Any] | None = None, word: str = "x") -> Change:
    action = {"rule_id": rule, "type": word, "state": "planned", "reason": None, "priority": "high", "asks": True}
    cause = Cause(rule, "term", f"{word} > 1 holds", False, True, values or {})
    return Change(str(number), word, f"deal:{word}", AT, Side("left_open", (), 0), Side("acts", (action,), 1), (cause,))


def report(*changes: Change, name: str = "rules.yaml") -> Report:
    found = Compared()
    for one in changes:
        found.add(one)
    found.before.counts["day", "2026-05-04", "actions"] = 3
    return Report(name, "1" * 16, name, "2" * 16, name, AT, AT, found)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_texts_of_strangers_are_texts() -> None:
    text = page(report(change(1, EVIL, {EVIL: EVIL}, EVIL), name=EVIL))
    reader = read(text)
    assert {tag for tag, _ in reader.tags} & {"script", "img", "iframe", "object", "link"} == set()
    assert all(not name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert reader.text.count("alert('1')") >= 6


def test_it_loads_nothing_and_needs_no_script() -> None:
    text = page(report(*(change(at) for at in range(3))))
    assert re.search(r"https?://|//[a-z]|@import|url\(|<script|src=|href=", text) is None
    assert "prefers-color-scheme:dark" in text
    assert len(text) < 30_000


def test_what_it_says() -> None:
    reader = read(page(report(change(1, "minor"), change(2, "major", {"deal.amount": 55000.123}), change(3, "major"))))
    for words in ("3 of 0 signals", "deal.amount = 55000.12", "left to the LLM", "asks a person", "major"):
        assert words in reader.text
    assert reader.text.index("major") < reader.text.index("minor")


def test_it_does_not_grow_without_end() -> None:
    text = page(report(*(change(at, f"rule-{at}") for at in range(MOST_SIGNALS + 40))))
    assert f"The first {MOST_SIGNALS} of {MOST_SIGNALS + 40}" in text


@pytest.mark.parametrize("rows", [[], [("a", (0, 0))], [("a" * 99, (3, 1_000_000)), (EVIL, (1, 2))]])
def test_charts_of_any_rows(rows: list[tuple[str, tuple[int, int]]]) -> None:
    for drawn in (charts.pairs("t", rows), charts.columns("t", rows), charts.shares(EVIL, [("a", {})], {"acts": EVIL})):
        reader = read(drawn)
        for tag, attributes in reader.tags:
            assert tag in ("svg", "rect", "text", "line")
            assert "nan" not in str(attributes)
            wide = float(attributes.get("width") or 0) + float(attributes.get("x") or 0)
            assert 0 <= wide <= charts.WIDTH + 1
