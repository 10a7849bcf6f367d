"""Tests beside rules: read with every fault by line, run, and told with what came instead."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from revpipe.cli import cli
from revpipe.errors import Misconfigured
from revpipe.rules import trials
from revpipe.rules.book import RuleBook, load

TYPES = dict.fromkeys(("create_task", "send_alert"))
BOOK = """rules:
  - id: quiet
    description: Nobody has been in touch.
    on: [deal.*_changed, call.completed]
    when: deal.idle_days > 10 && deal.is_closed == false
    mode: MODE
    urgency: high
    then:
      - type: create_task
        approval: always
        params: {subject: "Call {{ deal.name }}", properties: {due: 1, owner: "{{ deal.owner_id }}"}}
      - type: send_alert
        priority: low
        params: {title: a}
    tests:
      - name: quiet for long
        given:
          deal: {idle_days: 11, is_closed: false, name: Acme}
        expect: EXPECT
  - id: noise
    description: Nothing due.
    on: contact.created
    when: true
    tests:
      - {name: always, given: {}, expect: NOISE}
"""


def book(expect: str = "[create_task, send_alert]", noise: str = "nothing_due", mode: str = "live") -> RuleBook:
    return load(BOOK.replace("EXPECT", expect).replace("NOISE", noise).replace("MODE", mode), TYPES)


def told(found: RuleBook) -> list[str]:
    return [f"{one.line} {one.rule_id}: {one.text}" for one in trials.run(found)[1]]


@pytest.mark.parametrize(
    "expect",
    [
        "[create_task, send_alert]",
        "[send_alert, create_task]",
        "[{type: create_task, priority: high, approval: always, params: {subject: Call Acme}}, send_alert]",
        "[{type: create_task, params: {properties: {owner: null}}}, {type: send_alert, priority: low}]",
    ],
)
@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_what_comes_as_expected_passes(expect: str, mode: str) -> None:
    assert trials.run(book(expect, mode=mode)) == (2, [])


@pytest.mark.parametrize(
    ("expect", "text"),
    [
        ("none", "expected not to fire, but it fired and wanted create_task, send_alert"),
        ("nothing_due", "expected nothing, but it wanted create_task, send_alert"),
        ("create_task", "expected create_task, but it wanted create_task, send_alert"),
        ("[{type: create_task, priority: low}, send_alert]", "expected create_task with priority low, but it is high"),
        ("[create_task, {type: send_alert, approval: always}]", "with approval always, but it is left to the policy"),
        (
            "[{type: create_task, params: {subject: Call Hooli}}, send_alert]",
            "create_task: expected subject 'Call Hooli', but it is 'Call Acme'",
        ),
        (
            "[{type: create_task, params: {properties: {due: 2}}}, send_alert]",
            "create_task: properties: expected due 2, but it is 1",
        ),
        ("[{type: create_task, params: {body: x}}, send_alert]", "expected body 'x', but there is no such param"),
    ],
)
def test_what_came_instead_is_told_with_rule_and_line(expect: str, text: str) -> None:
    (line,) = told(book(expect))
    assert line.startswith("16 quiet: ")
    assert text in line


def test_a_rule_that_does_not_fire_names_the_term_and_its_values() -> None:
    changed = BOOK.replace("idle_days: 11, is_closed: false", "idle_days: 10")
    text = changed.replace("EXPECT", "create_task").replace("NOISE", "none").replace("MODE", "live")
    assert told(load(text, TYPES)) == [
        "16 quiet: expected create_task, but it did not fire: deal.idle_days > 10 is false (deal.idle_days = 10)",
        "25 noise: expected not to fire, but it fired and wanted nothing",
    ]
    text = text.replace("idle_days: 10", "idle_days: 12")
    assert "deal.is_closed == false is not known (deal.is_closed = None)" in told(load(text, TYPES))[0]
    text = text.replace("given:\n", "given:\n          signal: {event: deal.created}\n", 1)
    assert "it does not listen to deal.created" in told(load(text, TYPES))[0]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("expect: EXPECT", "", "16: a test needs `expect`"),
        ("expect: EXPECT", "expect: []", "19: a test needs `expect`"),
        ("expect: EXPECT", "expect: crate_task", "19: a test can't expect 'crate_task'; did you mean create_task?"),
        ("expect: EXPECT", "expect: {type: send_alert, priority: now}", "19: a test can't expect 'now'"),
        ("expect: EXPECT", "expect: {type: send_alert, param: {}}", "19: unknown key 'param'"),
        ("expect: EXPECT", "expects: none", "19: unknown key 'expects'"),
        ("idle_days: 11", "idel_days: 11", "18: unknown field deal.idel_days; did you mean deal.idle_days?"),
        ("idle_days: 11", "idle_days: eleven", "18: deal.idle_days is of type int; 'eleven' is not"),
        ("is_closed: false, name", "is_closed: 'no', name", "18: deal.is_closed is of type bool; 'no' is not"),
        ("deal: {idle", "deals: {idle", "18: unknown name deals; did you mean deal?"),
        ("deal: {idle", "now: soon\n          deal: {idle", "18: now: write a time such as"),
        ("deal: {idle", "signal: {event: deal.won}\n          deal: {idle", "18: unknown event 'deal.won'"),
        ("name: quiet for long", "name: ''", "16: a test needs a `name`"),
        ("tests:\n      - name", "tests: none\n    test:\n      - name", "15: `tests` must be a list"),
        ("mode: MODE", "mode: dark", "6: unknown mode 'dark' (there are live, shadow)"),
        ("urgency: high", "urgency: highest", "7: unknown urgency 'highest'; did you mean high?"),
        ("urgency: high", "expires: 0m", "7: expires: must be longer than nothing"),
        ("urgency: high", "expires: 31d", "7: expires: 31d is longer than 30d"),
        ("urgency: high", "expires: soon", "7: expires: 'soon' is no length of time"),
    ],
)
def test_every_fault_has_its_line(old: str, new: str, fault: str) -> None:
    assert old in BOOK
    text = BOOK.replace(old, new, 1).replace("EXPECT", "none").replace("NOISE", "none").replace("MODE", "live")
    with pytest.raises(Misconfigured) as refused:
        load(text, TYPES)
    assert f"rules.yaml:{fault}" in str(refused.value)


def test_two_tests_of_a_rule_have_different_names() -> None:
    twice = BOOK.replace("EXPECT", "[create_task, send_alert]\n      - {name: quiet for long, given: {}, expect: none}")
    with pytest.raises(Misconfigured, match="20: the name 'quiet for long' stands at two tests"):
        load(twice.replace("NOISE", "none").replace("MODE", "live"), TYPES)


def check(tmp_path: Path, text: str, *options: str) -> Any:
    file = tmp_path / "own.yaml"
    file.write_text(text, "utf-8")
    return CliRunner().invoke(cli, ["rules", "check", str(file), *options])


SMALL = """rules:
  - id: noise
    description: Nothing due.
    on: contact.created
    when: true
    mode: shadow
    tests:
      - {name: always, given: {}, expect: nothing_due}
"""


def test_the_check_fails_with_a_test(tmp_path: Path) -> None:
    good = check(tmp_path, SMALL)
    assert (good.exit_code, "1 rules (1 in shadow)" in good.stdout, "1 tests passed" in good.stdout) == (0, True, True)
    bad = check(tmp_path, SMALL.replace("nothing_due", "none"))
    assert bad.exit_code == 1
    assert "own.yaml:8: rule noise, test 'always': expected not to fire, but it fired" in bad.stdout
    assert "1 of 1 tests failed" in bad.stdout


def test_the_check_tells_machines_the_same(tmp_path: Path) -> None:
    bad = check(tmp_path, SMALL.replace("nothing_due", "none"), "--json")
    told = json.loads(bad.stdout)
    assert (bad.exit_code, told["tests"], told["rules"]) == (1, 1, [{"id": "noise", "mode": "shadow", "tests": 1}])
    assert [(one["rule"], one["test"], one["line"]) for one in told["failures"]] == [("noise", "always", 8)]


def test_a_rule_without_the_new_keys_is_as_it_was() -> None:
    (rule,) = load("rules:\n  - {id: a, description: b, on: '*', when: true}\n", TYPES).rules
    assert (rule.mode, rule.urgency, rule.expires, rule.tests) == ("live", None, None, ())


def test_of_several_actions_of_one_type_a_test_expects_the_one_that_is_carried_out() -> None:
    twice = BOOK.replace("      - type: send_alert\n        priority: low\n        params: {title: a}\n", "")
    twice = twice.replace("    then:\n", "    then:\n      - type: create_task\n        params: {subject: First}\n", 1)
    twice = twice.replace("MODE", "live").replace("NOISE", "nothing_due")
    only = "[{type: create_task, params: {subject: First}}]"
    assert told(load(twice.replace("EXPECT", only), TYPES)) == []
    (failure,) = told(load(twice.replace("EXPECT", "[create_task, create_task]"), TYPES))
    assert failure.endswith("; of several of one type only the first is carried out")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(BOOK.replace("Nobody", "Für niemanden").encode(encoding))
    refused = CliRunner().invoke(cli, ["rules", "check", str(path)])
    assert isinstance(refused.exception, Misconfigured)
    assert str(refused.exception).startswith(f"{path}:{3 if encoding == 'latin-1' else 1}: is no text in UTF-8")
