"""The book of rules: loading with every fault by line, evaluating, explaining."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from revpipe.errors import Misconfigured, Permanent
from revpipe.rules.book import RuleBook, load
from tests.unit.rule_facts import any_facts, check_answer, facts

TYPES = dict.fromkeys(("create_task", "send_alert"))

GOOD = """urgency:
  - id: hot
    when: deal.overdue
    urgency: immediate
  - id: warm
    when: deal.amount > 100
    urgency: high
rules:
  - id: quiet-deal
    description: Nobody has been in touch.
    owner: revops
    on: [deal.*_changed, call.completed]
    when: deal.idle_days > 10 && deal.is_closed == false
    cooldown: 7d
    then:
      - type: create_task
        priority: high
        approval: always
        params:
          subject: "Call {{ deal.name }}"
          deal_id: "{{ deal.id }}"
          due_in_days: 1
      - type: send_alert
        params: {title: "{{ deal.name }}"}
  - id: noise
    description: Nothing due.
    on: contact.created
    when: true
  - id: hint
    description: Something to think about.
    on: ["*"]
    when: deal.probability < 0.1
    conclusive: false
"""


def book() -> RuleBook:
    return load(GOOD, TYPES)


def test_a_rule_fires_and_fills_its_actions() -> None:
    found = book().evaluate(facts(idle_days=11, is_closed=False, id="42", name="Hooli"))
    assert found.fired == ("quiet-deal",)
    assert found.conclusive
    task, alert = found.actions
    assert task.params == {"subject": "Call Hooli", "deal_id": "42", "due_in_days": 1}
    assert (task.rule_id, task.rule_description) == ("quiet-deal", "Nobody has been in touch.")
    assert (task.type, task.priority, task.approval, task.cooldown) == (
        "create_task",
        "high",
        "always",
        timedelta(days=7),
    )
    assert (alert.type, alert.priority, alert.approval) == ("send_alert", "standard", None)


def test_an_action_without_priority_is_as_urgent_as_the_signal_with_its_context() -> None:
    made = facts(idle_days=11, is_closed=False, overdue=True)
    assert [action.priority for action in book().evaluate(made).actions] == ["high", "immediate"]


def test_a_rule_is_only_asked_about_events_it_listens_to() -> None:
    found = book().evaluate(facts("deal.created", idle_days=11, is_closed=False))
    assert found.fired == ()
    assert not found.conclusive
    assert (found.outcomes[0].listened, found.outcomes[0].terms) == (False, ())
    assert found.outcomes[2].listened


def test_a_rule_can_conclude_that_nothing_is_due() -> None:
    found = book().evaluate(facts("contact.created"))
    assert (found.fired, found.actions, found.conclusive) == (("noise",), (), True)


def test_a_rule_that_is_not_conclusive_leaves_the_rest_open() -> None:
    found = book().evaluate(facts("deal.created", probability=0.05))
    assert (found.fired, found.conclusive) == (("hint",), False)


def test_every_term_is_explained_even_after_one_failed() -> None:
    outcome = book().evaluate(facts(idle_days=3)).outcomes[0]
    assert [(term.expression, term.held, dict(term.values)) for term in outcome.terms] == [
        ("deal.idle_days > 10", False, {"deal.idle_days": 3}),
        ("deal.is_closed == false", None, {"deal.is_closed": None}),
    ]


def test_the_explanation_is_json() -> None:
    told = book().evaluate(facts(idle_days=11, is_closed=False)).as_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["fired"] == ["quiet-deal"]
    assert told["actions"][0] == {"rule": "quiet-deal", "type": "create_task"}
    assert told["rules"][1] == {"rule": "noise", "fired": False, "listened": False}
    assert told["rules"][0]["terms"][0] == {
        "expression": "deal.idle_days > 10",
        "held": True,
        "values": {"deal.idle_days": 11},
    }


def test_the_explanation_is_bounded_and_those_that_fired_come_first() -> None:
    conditions = " && ".join(f"size(deal.contact_ids) >= {number}" for number in range(5))
    rules = [
        f"  - {{id: r{number}, description: x, on: ['*'], when: \"{conditions} && deal.amount > {number}.5\"}}"
        for number in range(60)
    ]
    large = load("rules:\n" + "\n".join(rules), {})
    found = large.evaluate(facts(contact_ids=["€" * 900] * 500, amount=1.0))
    told = found.as_dict()
    assert len(json.dumps(told, ensure_ascii=False)) < 60_000
    assert len(told["rules"]) == 60
    assert "terms" in told["rules"][0]
    failed = {"expression": "deal.amount > 59.5", "held": False, "values": {"deal.amount": 1.0}}
    assert told["rules"][59] == {
        "rule": "r59", "fired": False, "listened": True, "terms": [failed], "shortened": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("deal", "current", "urgency"),
    [
        ({"overdue": True, "amount": 500.0}, "standard", "immediate"),
        ({"overdue": None, "amount": 500.0}, "standard", "high"),
        ({"overdue": False, "amount": 500.0}, "immediate", "immediate"),
        ({"overdue": False, "amount": 500.0}, "high", "high"),
        ({"overdue": False, "amount": 5.0}, "low", "low"),
        ({}, "low", "low"),
    ],
)
def test_urgency_only_ever_rises(deal: dict[str, Any], current: str, urgency: str) -> None:
    assert book().urgency(facts(**deal), current) == urgency


def test_the_version_follows_the_text_but_not_its_line_ends() -> None:
    assert book().version == load(GOOD.replace("\n", "\r\n") + "\n\n", TYPES).version
    assert book().version == load("\ufeff" + GOOD.replace("owner: revops", "owner: revops  "), TYPES).version
    assert book().version != load(GOOD.replace("> 10", "> 11"), TYPES).version
    assert len(book().version) == 16
    assert load(book().source, TYPES).version == book().version


def faults(text: str, types: Mapping[str, Any] = TYPES) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(text, types)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("rules:", "rulez:", "rules.yaml:8: unknown key 'rulez'"),
        ("    owner: revops", "    ownr: revops", "rules.yaml:11: unknown key 'ownr'"),
        ("id: noise", "id: quiet-deal", "rules.yaml:25: the id 'quiet-deal' is taken by line 9"),
        ("id: noise", "id: Not OK", "rules.yaml:25: needs an `id`"),
        ("id: warm", "id: hot", "rules.yaml:5: the id 'hot' is taken by line 2"),
        ("deal.idle_days", "deal.idle_dayz", "rules.yaml:13: when: unknown field deal.idle_dayz; did you mean"),
        ("deal.overdue", "deel.overdue", "rules.yaml:3: when: unknown name deel; did you mean deal?"),
        ("deal.amount > 100", "deal.name > 3", "rules.yaml:6: when: deal.name > 3 compares a text with a number"),
        ("deal.amount > 100", "deal.amount", "rules.yaml:6: when: deal.amount is a number, not a yes or no"),
        ("deal.amount > 100", "deal.amount >", "rules.yaml:6: when: is not a CEL expression"),
        ("deal.amount > 100", "lower(deal.name) == 'x'", "rules.yaml:6: when: unknown function lower()"),
        ("    when: true\n", "", "rules.yaml:25: needs `when`"),
        ("when: true", "when: 7", "rules.yaml:28: needs `when`"),
        ("call.completed", "call.complete", "rules.yaml:12: unknown event 'call.complete'; did you mean"),
        ("deal.*_changed", "deel.*", "rules.yaml:12: unknown event 'deel.*'"),
        ("    on: contact.created\n", "", "rules.yaml:25: needs `on`"),
        (
            "type: send_alert",
            "type: send_alart",
            "rules.yaml:23: unknown type 'send_alart'; did you mean send_alert?",
        ),
        ("- type: send_alert\n        params", "- params", "rules.yaml:23: needs `type`"),
        ('        params: {title: "{{ deal.name }}"}\n', "", "rules.yaml:23: an action needs `params`"),
        ("{{ deal.id }}", "{{ deal.idd }}", "rules.yaml:21: unknown field deal.idd; did you mean deal.id?"),
        ("{{ deal.id }}", "{{ deal.id ", "rules.yaml:21: is not a template"),
        ("{{ deal.id }}", "{{ deal.id | nope }}", "rules.yaml:21: unknown filter nope"),
        ("cooldown: 7d", "cooldown: 7 weeks", "rules.yaml:14: cooldown: '7 weeks' is no length of time"),
        ("cooldown: 7d", "cooldown: 900d", "rules.yaml:14: cooldown: 900d is longer than 366d"),
        ("conclusive: false", "conclusive: maybe", "rules.yaml:33: `conclusive` must be true or false"),
        ("urgency: high", "urgency: hihg", "rules.yaml:7: unknown urgency 'hihg'; did you mean high?"),
        ("    urgency: high\n", "", "rules.yaml:5: needs `urgency`"),
        ("priority: high", "priority: top", "rules.yaml:17: unknown priority 'top'"),
        ("approval: always", "approval: sometimes", "rules.yaml:18: unknown approval 'sometimes'"),
        ("approval: always", "priority: low", "rules.yaml:18: the key 'priority' stands here twice"),
        ("description: Nothing due.", "description: ''", "rules.yaml:26: needs `description`"),
        ("due_in_days: 1", "due_in_days: .nan", "rules.yaml:22: can't use '.nan'"),
        ("cooldown: 7d", "cooldown: [7d", "rules.yaml:15: is not YAML"),
        ("owner: revops", "owner: &x revops\n    description: *x", "rules.yaml:1: anchors and aliases"),
        (GOOD, "- a\n", "rules.yaml:1: the file must have the key `rules`"),
        (GOOD, "", "rules.yaml:1: the file must have the key `rules`"),
        (GOOD, "rules: 3", "rules.yaml:1: `rules` must be a list"),
        (GOOD, "rules:\n  - x", "rules.yaml:2: each item must have the keys id"),
    ],
)
def test_a_fault_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    told = faults(GOOD.replace(old, new))
    assert any(line.startswith(fault) for line in told), told


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("deal.is_closed = false", "; write == to compare"),
        ("deal.overdue and deal.is_won", "; write && for and, || for or, ! for not"),
        ("deal.overdue OR deal.is_won", "; write && for and, || for or, ! for not"),
        ("not deal.overdue", "; write && for and, || for or, ! for not"),
        ("deal.amount > 20,000", "; write 20000, not 20,000"),
        ("deal.amount > 1,250,000 and deal.name = 'x'", "; write == to compare; write && for and"),
    ],
)
def test_a_common_slip_in_a_condition_is_told_with_what_to_write(condition: str, hint: str) -> None:
    (told,) = faults(GOOD.replace("when: deal.overdue", f'when: "{condition}"'))
    assert told.startswith("rules.yaml:3: when: is not a CEL expression: ")
    assert hint in told


def test_what_stands_in_quotes_brings_no_hint() -> None:
    (told,) = faults(GOOD.replace("when: deal.overdue", "when: deal.name == 'a = b and 20,000' &&"))
    assert "; write" not in told


def test_a_guess_is_the_end_of_its_sentence() -> None:
    (told,) = faults(GOOD.replace("call.completed", "call.complete"))
    assert told.endswith("did you mean call.completed?")
    (told,) = faults(GOOD.replace("call.completed", "zzz"))
    assert told.endswith("unknown event 'zzz'; docs/rules.md lists the events")


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    told = faults(GOOD.replace("idle_days", "idle_dayz").replace("7d", "7x").replace("deal.overdue", "deal.overdu"))
    assert [line.split(":")[1] for line in told] == ["3", "13", "14"]


def test_params_are_checked_by_the_adapter_that_will_carry_them_out() -> None:
    def check(params: Mapping[str, Any]) -> None:
        if "subject" not in params:
            raise Permanent("a task needs a subject")

    assert load(GOOD, {**TYPES, "create_task": check}).rules
    told = faults(GOOD.replace("subject:", "topic:"), {**TYPES, "create_task": check})
    assert told == ["rules.yaml:19: these params can't be carried out: a task needs a subject"]


@settings(max_examples=150, deadline=None)
@given(any_facts())
def test_evaluating_never_raises(made: dict[str, Any]) -> None:
    check_answer(book().evaluate(made))


@settings(max_examples=60, deadline=None)
@given(any_facts())
def test_a_condition_and_its_denial_never_both_hold(made: dict[str, Any]) -> None:
    text = "deal.idle_days > 10 || deal.name == 'x' && !(deal.is_won || deal.amount < 3.5)"
    one = f"  - {{id: one, description: x, on: ['*'], when: \"{text}\"}}\n"
    two = f"  - {{id: two, description: x, on: ['*'], when: \"!({text})\"}}\n"
    answers = [outcome.terms[0].held for outcome in load("rules:\n" + one + two, {}).evaluate(made).outcomes]
    assert sorted(map(str, answers)) in (["False", "True"], ["None", "None"])


def test_many_rules_on_large_facts_stay_bounded() -> None:
    rules = "\n".join(
        f"  - {{id: r{number}, description: x, on: ['*'], "
        f"when: \"deal.contact_ids.exists(c, c.matches('(a+)+$')) && deal.amount > {number}.0\"}}"
        for number in range(100)
    )
    found = load("rules:\n" + rules, {}).evaluate(facts(contact_ids=["a" * 500 + "!"] * 200, amount=50.5))
    assert found.fired == ()
    assert len(found.outcomes) == 100
