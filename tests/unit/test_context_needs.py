"""Which context each event needs: the file that we ship, and what is said of a file that is wrong."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from revpipe import context_needs
from revpipe.errors import Misconfigured
from revpipe.rules.fields import EVENTS
from tests.unit.test_signals import a_signal

SHIPPED = (Path(__file__).parents[2] / "config" / "sources.yaml").read_text(encoding="utf-8")

GOOD = """
context:
  - events: [deal.created]
    required: [deal]
    optional: [contact]
    expires: 2h
  - events: ["deal.*", call.completed]
    required: [deal, account]
  - events: ["*"]
cache:
  deal: 90s
"""


@pytest.fixture(scope="module")
def needs() -> context_needs.ContextNeeds:
    return context_needs.load(GOOD)


@pytest.mark.parametrize(
    ("event", "required", "optional"),
    [
        ("deal.created", {"deal"}, {"contact"}),
        ("deal.deleted", {"deal", "account"}, set()),
        ("call.completed", {"deal", "account"}, set()),
        ("dealer.created", set(), set()),
        ("unknown", set(), set()),
    ],
)
def test_the_first_entry_that_matches_wins(
    needs: context_needs.ContextNeeds, event: str, required: set[str], optional: set[str]
) -> None:
    need = needs.of(a_signal(event=event))
    assert set(need.required) == required
    assert set(need.optional) == optional
    assert need.wanted == required | optional


def test_times_are_read_and_a_day_is_the_default(needs: context_needs.ContextNeeds) -> None:
    assert needs.expires(a_signal(event="deal.created")) == timedelta(hours=2)
    assert needs.expires(a_signal(event="unknown")) == timedelta(hours=24)
    assert needs.cache == {"deal": timedelta(seconds=90)}


def test_the_file_that_we_ship_answers_for_every_event() -> None:
    shipped = context_needs.load(SHIPPED)
    for event in (*EVENTS, "something.new"):
        need = shipped.of(a_signal(event=event))
        assert need.wanted <= set(context_needs.PARTS)
        assert not need.required & need.optional
    assert shipped.of(a_signal(event="deal.stage_changed")).required == {"deal", "change"}
    assert shipped.of(a_signal(event="deal.deleted")).required == set()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not YAML"),
        ("[]", "must hold `context`"),
        ("cache: {}", "must hold `context`"),
        ("context: []\nextra: 1", "nothing else"),
        ("context: []", "the last entry of `context` must match every event"),
        ("context:\n  - events: [deal.created]", "the last entry"),
        ("context:\n  - required: [deal]", r"context\[0\]: must have `events`"),
        ("context:\n  - events: ['*']\n    require: [deal]", r"context\[0\]: must have `events`"),
        ("context:\n  - events: ['*']\n    required: [weather]", "no part is named 'weather'; there are: deal"),
        ("context:\n  - events: ['*']\n    expires: soon", r"context\[0\].expires: 'soon' is no length of time"),
        ("context:\n  - events: ['*']\ncache: {deal: 5}", "cache.deal: 5 is no length of time"),
        ("context:\n  - events: ['*']\ncache: {weather: 5m}", "no part is named 'weather'"),
    ],
)
def test_a_file_that_is_wrong_says_where_and_what(text: str, complaint: str) -> None:
    with pytest.raises(Misconfigured, match=complaint) as caught:
        context_needs.load(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml: ")


ANY = "context:\n  - {events: ['*']QUIET}\n"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 5), (", quiet: 5s", 5), (", quiet: 0", 0), (", quiet: 0s", 0), (", quiet: 60s", 60), (", quiet: 1m", 60)],
)
def test_the_quiet_period_is_five_seconds_where_the_file_says_nothing(said: str, seconds: int) -> None:
    (need,) = context_needs.load(ANY.replace("QUIET", said)).entries
    assert need.quiet == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("61s", "'61s' is too long; edits are gathered for 60s at the most"),
        ("2h", "is too long"),
        ("5", "5 is no length of time"),
        ("-5s", "'-5s' is no length of time"),
        ("false", "False is no length of time"),
        ("soon", "'soon' is no length of time"),
    ],
)
def test_a_bad_quiet_period_is_refused_with_file_and_entry(said: str, fault: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape("sources.yaml: context[0].quiet: ")) as raised:
        context_needs.load(ANY.replace("QUIET", f", quiet: {said}"))
    assert fault in str(raised.value)
