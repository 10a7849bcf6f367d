"""Rules to propose: what the LLM decided alike many times, and people let it."""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from revpipe.suggesting import conditions, wording
from revpipe.suggesting.evidence import Judged

APPROVED_SHARE: Final = 0.8
PURITY: Final = 0.9
"""Of the LLM's decisions that the condition would have caught, how many must have been like this one."""
NOTHING_TIMES: Final = 4
"""Nobody approves that nothing is done, so it must have been decided so many times as often."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One rule with what speaks for it; `rule` is an entry of rules.yaml."""

    rule: dict[str, Any]
    alike: int
    approved: int
    rejected: int
    others: int
    same_words: int
    examples: tuple[uuid.UUID, ...]

    @property
    def yaml(self) -> str:
        """The rule as it stands in the file."""
        text = yaml.safe_dump([self.rule], sort_keys=False, allow_unicode=True, width=110)
        # Plain YAML 1.1 takes the word for yes, and quotes it; our file does not.
        return re.sub(r"^(\s*)'on':", r"\1on:", text, flags=re.MULTILINE)


def suggest(judged: Sequence[Judged], least: int) -> list[Suggestion]:
    """Suggestions, the one with most decisions behind it in front. `least`: how many must have been alike."""
    groups: dict[tuple[str, tuple[str, ...]], list[Judged]] = {}
    for one in judged:
        groups.setdefault((one.event, one.types), []).append(one)
    found = list(_suggestions(groups, judged, least))
    return sorted(found, key=lambda one: (-one.alike, one.rule["id"]))


def _suggestions(
    groups: dict[tuple[str, tuple[str, ...]], list[Judged]], judged: Sequence[Judged], least: int
) -> Iterator[Suggestion]:
    for (event, types), group in groups.items():
        said = [one.said for one in group]
        approved, rejected = said.count("approved"), said.count("rejected")
        wanted = approved >= least and approved >= APPROVED_SHARE * (approved + rejected)
        if not (wanted if types else len(group) >= least * NOTHING_TIMES):
            continue
        good = [one for one in group if one.said != "rejected"]
        bad = [one for one in judged if one.event == event and (one.types != types or one.said == "rejected")]
        when, caught = conditions.find([one.facts for one in good], [one.facts for one in bad])
        if len(good) < PURITY * (len(good) + caught):
            continue
        then, same = _then(types, [one for one in good if one.said == "approved"])
        rule = {
            "id": _id(event, types),
            "description": _described(types, len(group), approved, approved + rejected),
            "on": [event],
            "when": when,
            **({"cooldown": "7d", "then": then} if then else {}),
        }
        examples = tuple(one.signal_id for one in good[:3])
        yield Suggestion(rule, len(good), approved, rejected, caught, same, examples)


def _then(types: tuple[str, ...], approved: Sequence[Judged]) -> tuple[list[dict[str, Any]], int]:
    """The actions in the words that were approved most often, and how often the rarest of them was."""
    actions, same = [], len(approved)
    for place, type_ in enumerate(types):
        params, count = wording.commonest([wording.general(one.params[place], one.facts) for one in approved])
        same = min(same, count)
        # A person goes on being asked: whoever trusts the rule takes the line out.
        actions.append({"type": type_, "approval": "always", "params": params})
    return actions, same


def _id(event: str, types: tuple[str, ...]) -> str:
    words = f"suggested-{event}-{'-'.join(dict.fromkeys(types)) or 'nothing'}"
    return re.sub(r"[^a-z0-9-]+", "-", words.lower())[:64].rstrip("-")


def _described(types: tuple[str, ...], decided: int, approved: int, answered: int) -> str:
    if not types:
        return f"The LLM found {decided} times that nothing is due."
    return f"The LLM decided so {decided} times, and people approved {approved} of the {answered} they answered."
