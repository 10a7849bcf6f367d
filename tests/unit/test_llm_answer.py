"""What counts as an answer, what policy may say, and how the trace tells of both."""

import json
from typing import Any

import pytest

from config.settings import Settings
from revpipe.bootstrap import CONFIG, load_desk, load_llm_policy
from revpipe.errors import Misconfigured
from revpipe.llm import answer, policy
from revpipe.llm.answer import Malformed
from revpipe.story import second_pass

GOOD: dict[str, Any] = {
    "reason": "why",
    "actions": [
        {
            "type": "create_task",
            "deal_id": "1",
            "account_id": None,
            "contact_id": None,
            "to": None,
            "subject": "s",
            "text": "t",
            "due_in_days": 2,
            "needs_approval": True,
        }
    ],
}
TEXT = (CONFIG / "llm.yaml").read_text(encoding="utf-8")


def changed(**values: Any) -> dict[str, Any]:
    return {**GOOD, "actions": [{**GOOD["actions"][0], **values}]}


def without(name: str) -> dict[str, Any]:
    return {**GOOD, "actions": [{key: value for key, value in GOOD["actions"][0].items() if key != name}]}


def test_an_answer_of_the_schema_is_read_and_comes_back_from_its_stored_form() -> None:
    read = answer.read(json.dumps(GOOD))
    assert read.actions[0].type == "create_task"
    assert answer.of_dict(json.loads(json.dumps(answer.as_dict(read)))) == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "call them",
        "```json\n{}\n```",
        json.dumps(GOOD) + " and more",
        '{"reason": NaN, "actions": []}',
        '{"reason": "a", "reason": "b", "actions": []}',
        json.dumps({**GOOD, "reason": "a\0b"}),
        json.dumps({**GOOD, "reason": "\ud800"}),
        "[" * 100_000,
    ],
)
def test_what_is_no_json_or_cant_be_stored_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        answer.read(text)
    assert caught.value.code == "malformed"


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"actions": []},
        {**GOOD, "more": 1},
        {**GOOD, "actions": "none"},
        {**GOOD, "reason": "x" * 1001},
        {**GOOD, "actions": GOOD["actions"] * 21},
        changed(recipient="x"),
        changed(deal_id=1),
        changed(subject=""),
        changed(subject="x" * 201),
        changed(text="x" * 4001),
        changed(due_in_days=True),
        changed(due_in_days="2"),
        changed(due_in_days=400),
        changed(needs_approval="no"),
        changed(needs_approval=None),
        without("to"),
        without("needs_approval"),
    ],
)
def test_json_of_another_schema_says_so(value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        answer.read(json.dumps(value))
    assert caught.value.code == "wrong_schema"


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("least_amount: 10000", "least_amount: many", "`least_amount` must be a number"),
        ("answer_within: 15s", "answer_within: 40s", "at most 20 seconds"),
        ("actions: [create_task", "actions: [wire_money", "'wire_money' can't stand here"),
        ("without_approval: []", "without_approval: [update_crm]", "'update_crm' can't stand here"),
        ("call.completed]", "call.done]", "no event is called 'call.done'"),
        (
            "      source: https://platform",
            "      spring: https://platform",
            "a price without day and source is a guess",
        ),
        ("    anthropic: claude", "    antropic: claude", "no provider is called 'antropic'"),
        ("at_once: 2", "at_twice: 2", "unknown key 'at_twice'"),
    ],
)
def test_a_fault_in_the_file_is_told_with_its_line(was: str, becomes: str, told: str) -> None:
    assert was in TEXT
    with pytest.raises(Misconfigured, match=r"llm.yaml:\d+: ") as caught:
        policy.load(TEXT.replace(was, becomes))
    assert told in str(caught.value)


def test_policy_admits_by_event_and_amount() -> None:
    shipped = load_llm_policy()
    assert shipped.admits("deal.stage_changed", 10_000)
    assert not shipped.admits("deal.stage_changed", 9_999.9)
    assert not shipped.admits("deal.stage_changed", None)
    assert not shipped.admits("intent.surge", 1e6)


def test_what_a_call_cost_counts_cached_tokens_once() -> None:
    price = policy.Price(1.0, 0.1, 5.0, "2026-11-27", "here")
    assert price.of(1_000_000, 400_000, 100_000) == pytest.approx(0.6 + 0.04 + 0.5)


def test_without_a_provider_there_is_no_desk() -> None:
    assert load_desk(Settings()) is None


def test_every_reason_of_the_fallback_has_words() -> None:
    assert list(
        second_pass.lines({"by": "fallback", "outcome": "timed_out", "model": "m", "where": "openai slow"})
    ) == ["the fallback decided, not m: it took too long (openai slow)"]
    (held_back,) = second_pass.lines({"by": "fallback", "outcome": "circuit_open", "where": "circuit openai open"})
    assert "or refused the key (circuit openai open)" in held_back, "a refused key opens the circuit, too"
    told = {"by": "llm", "outcome": "answered", "model": "m", "reason": "because", "latency_ms": 1500, "cost_usd": 0.01}
    assert list(second_pass.lines(told | {"input_tokens": 5, "output_tokens": 6})) == [
        "m decided in 1.5 s, 11 tokens, $0.0100: because"
    ]
