"""The JSON Schema of rules.yaml: it takes the shipped file and refuses what the reader refuses, as far as it can."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from revpipe import action_policy_file
from revpipe.errors import Misconfigured
from revpipe.marked_yaml import parse
from revpipe.rules import json_schema
from revpipe.rules.book import load

ROOT = Path(__file__).parents[2]
TYPES = tuple(action_policy_file.load((ROOT / "config/actions.yaml").read_text("utf-8")))
SHIPPED = (ROOT / "config/rules.yaml").read_text("utf-8")
SCHEMA = json_schema.schema(TYPES)
GOOD = """urgency:
  - id: hot
    when: deal.overdue
    urgency: immediate
rules:
  - id: quiet-deal
    description: Nobody has been in touch.
    owner: revops
    mode: shadow
    on: [deal.*_changed, call.completed]
    when: deal.idle_days > 10
    conclusive: false
    urgency: high
    cooldown: 7d
    expires: 2h
    then:
      - type: create_task
        priority: high
        approval: always
        params: {subject: "Call {{ deal.name }}", due_in_days: "{{ deal.idle_days }}"}
    tests:
      - name: long quiet
        given: {now: 2026-01-20T12:00:00Z, deal: {idle_days: 11, name: null, id: 42}, history: {open_rules: [x]}}
        expect:
          - type: create_task
            priority: high
            params: {due_in_days: 11}
      - {name: not long, given: {deal: {idle_days: "10"}}, expect: none}
      - {name: same, given: {}, expect: nothing_due}
      - {name: one, given: {}, expect: create_task}
  - id: noise
    description: Nothing due.
    on: "*"
    when: true
"""


def faults(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    return [error.message for error in validator.iter_errors(parse(text, "rules.yaml").value)]


def test_it_is_a_schema_and_the_file_is_current() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    written = (ROOT / "docs/rules.schema.json").read_text("utf-8")
    assert written == json_schema.text(TYPES), "run: python -m revpipe.rules.manual"
    assert json.loads(written) == SCHEMA


def test_the_shipped_rules_name_it_and_pass() -> None:
    first = SHIPPED.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (ROOT / "config" / first.partition("=")[2]).resolve() == ROOT / "docs/rules.schema.json"
    assert faults(SHIPPED) == []


def test_both_take_every_key() -> None:
    load(GOOD, dict.fromkeys(TYPES))
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: quiet-deal", "id: Quiet Deal"),
        ("    description: Nobody has been in touch.\n", ""),
        ("description: Nobody has been in touch.", "description: ' '"),
        ("mode: shadow", "mode: dark"),
        ("mode: shadow", "modus: shadow"),
        ("on: [deal.*_changed, call.completed]", "on: []"),
        ("on: [deal.*_changed, call.completed]", "on: [deal.won]"),
        ("on: [deal.*_changed, call.completed]", "on: deal.won"),
        ("    when: deal.idle_days > 10\n", ""),
        ("when: deal.idle_days > 10", "when: 10"),
        ("when: deal.idle_days > 10", "when: ''"),
        ("conclusive: false", "conclusive: 'no'"),
        ("urgency: high", "urgency: highest"),
        ("cooldown: 7d", "cooldown: 7 weeks"),
        ("cooldown: 7d", "cooldown: 7"),
        ("expires: 2h", "expires: soon"),
        ("type: create_task\n        priority", "type: create_tsk\n        priority"),
        ("        priority: high\n        approval", "        priority: now\n        approval"),
        ("approval: always", "approval: maybe"),
        ("- name: long quiet", "- titel: long quiet"),
        ("deal: {idle_days: 11,", "deal: {idel_days: 11,"),
        ("deal: {idle_days: 11,", "deals: {idle_days: 11,"),
        ("deal: {idle_days: 11,", "deal: {is_closed: 'no',"),
        ("deal: {idle_days: 11,", "deal: {idle_days: eleven,"),
        ("history: {open_rules: [x]}", "history: {open_rules: x}"),
        ("now: 2026-01-20T12:00:00Z", "now: soon"),
        ("expect: nothing_due", "expect: nothing"),
        ("expect: nothing_due", "expect: []"),
        ("expect: create_task}", "expect: {type: send_mail}}"),
        ("    urgency: immediate\n", ""),
        ("rules:\n", "rule:\n"),
    ],
)
def test_both_refuse(old: str, new: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(Misconfigured):
        load(text, dict.fromkeys(TYPES))
    assert faults(text)


@pytest.mark.parametrize(
    ("old", "new"), [("subject: ", "subjct: "), ('subject: "Call {{ deal.name }}", ', ""), ("due_in_days", "due_days")]
)
def test_it_knows_the_names_of_params(old: str, new: str) -> None:
    assert faults(GOOD.replace(old, new, 1))


def test_what_it_describes_is_what_rules_may_ask() -> None:
    given: Any = SCHEMA["$defs"]["facts"]["properties"]
    assert {"signal", "deal", "account", "contact", "calls", "intent", "behaviour", "history", "now"} == set(given)
