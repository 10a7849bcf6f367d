"""`revpipe rules suggest`: rules that the LLM's decisions and people's answers speak for, and against."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from config.settings import Settings
from revpipe.bootstrap import CONFIG, read_rules
from revpipe.commands.context import as_json
from revpipe.commands.moments import MOMENT
from revpipe.commands.rule_books import Trying, trying
from revpipe.errors import Misconfigured
from revpipe.marked_yaml import parse
from revpipe.rules.book import RuleBook
from revpipe.simulating.run import Compared, compare
from revpipe.suggesting import evidence
from revpipe.suggesting.evidence import Unwanted
from revpipe.suggesting.suggestions import Suggestion, suggest
from revpipe.terminal import say

MOST = 5


@click.command("suggest")
@click.option("--since", type=MOMENT, default="30d", show_default=True, help="How far back: 30d, or a time.")
@click.option("--least", type=click.IntRange(2), default=5, show_default=True, help="Decisions that must be alike.")
@click.option("--rejected", type=click.FloatRange(0.05, 1), default=0.5, show_default=True, help="Rate to list a rule.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Processes; by default one for each processor.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def suggest_rules(since: datetime, least: int, rejected: float, jobs: int | None, *, json_: bool) -> None:
    """Propose rules for what the LLM decides alike time and again and people approve.

    Each comes as an entry for config/rules.yaml, with its evidence and with what it would have changed in that time.
    Rules whose actions people keep rejecting are listed, too. Changes nothing.
    """
    with trying(since, None, jobs) as on:
        assert on.tx is not None
        judged = evidence.decisions(on.tx, since)
        unwanted = evidence.unwanted(on.tx, since, least, rejected)
        tried = [(one, *_try(on, one)) for one in suggest(judged, least)[:MOST]]
        if json_:
            as_json(
                {
                    **on.about(),
                    "llm_decisions": len(judged),
                    "suggestions": [_as_dict(one, fault, found) for one, fault, found in tried],
                    "unwanted": [asdict(one) for one in unwanted],
                }
            )
            return
        say(f"{len(judged)} decisions of the LLM looked at")
        for one, fault, found in tried:
            _suggestion(one, fault, found)
        if not tried:
            say(f"none was made {least} times alike and approved; --least asks for fewer, --since for more time")
        _unwanted(unwanted)


def _try(on: Trying, one: Suggestion) -> tuple[str | None, Compared | None]:
    """What is wrong with the rule, if anything, else what it would have changed."""
    in_use = on.book(None)
    try:
        new = with_rule(on.settings, one.rule)
    except Misconfigured as error:
        return str(error), None
    return None, compare(on.source(in_use, new), on.trial(in_use), on.trial(new), on.jobs)


def with_rule(settings: Settings, rule: dict[str, Any]) -> RuleBook:
    """The rules in use and one more. Raises Misconfigured if it can't be one."""
    document = parse((CONFIG / "rules.yaml").read_text(encoding="utf-8"), "config/rules.yaml").value
    text = json.dumps({**document, "rules": [*document["rules"], rule]}, ensure_ascii=False, indent=1)
    return read_rules(settings, text, "the suggested rule")


def _as_dict(one: Suggestion, fault: str | None, found: Compared | None) -> dict[str, Any]:
    return {
        "yaml": one.yaml,
        "rule": one.rule,
        "evidence": {
            "alike": one.alike,
            "approved": one.approved,
            "rejected": one.rejected,
            "decided_otherwise": one.others,
            "same_words": one.same_words,
            "examples": list(one.examples),
        },
        "fault": fault,
        "effect": _effect(found) if found else None,
    }


def _effect(found: Compared) -> dict[str, Any]:
    return {
        "signals": found.before.signals,
        "changed": found.changed,
        "llm_calls": [found.before.left_open, found.after.left_open],
        "actions": [found.before.total("action"), found.after.total("action")],
        "approvals": [found.before.total("approval"), found.after.total("approval")],
    }


def _suggestion(one: Suggestion, fault: str | None, found: Compared | None) -> None:
    say(f"\n{one.alike} decisions alike, {one.approved} approved, {one.rejected} rejected;")
    say(f"  {one.others} others that the condition would have caught were decided otherwise")
    if one.rule.get("then"):
        say(f"  {one.same_words} of the approved ones had these very words")
    say(f"  for example: {', '.join(str(example) for example in one.examples)}")
    if found:
        told = _effect(found)
        pairs = (f"{name.replace('_', ' ')} {told[name][0]} → {told[name][1]}" for name in _PAIRS)
        say(f"  on {told['signals']} signals it would have changed {told['changed']}: {', '.join(pairs)}")
    if fault:
        say(f"  it needs your hand before it can be used: {fault}")
    say()
    for line in one.yaml.splitlines():
        say(f"  {line}")


_PAIRS = ("llm_calls", "actions", "approvals")


def _unwanted(found: list[Unwanted]) -> None:
    if not found:
        return
    say("\nrules whose actions people keep rejecting:")
    for one in found:
        answered = one.approved + one.rejected
        say(f"  {one.rule}: {one.rejected} of {answered} rejected ({one.rate:.0%}), {one.expired} expired unanswered")
        say(f"    for example: {', '.join(str(example) for example in one.examples)}")
