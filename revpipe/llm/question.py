"""The question on one signal: the least that a decision needs, people masked, what others wrote fenced and bounded.

It is made of the signal and its stored context alone, at the time of that context, so that the same signal gives the
same question whenever it is asked again.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from string import Template
from typing import Any, Final

from revpipe.language_model import Prompt
from revpipe.llm import answer
from revpipe.llm.masking import UNSEEN, Mask
from revpipe.llm.policy import LlmPolicy
from revpipe.llm.scope import Scope
from revpipe.ports import Part
from revpipe.rules.vocabulary import facts
from revpipe.signals import Signal

LONGEST_TEXT: Final = 1500
LONGEST_TRANSCRIPT: Final = 6000
MOST_ITEMS: Final = 10
FACTS: Final[Mapping[str, tuple[str, ...]]] = {
    "signal": (
        *("event", "property", "old_value", "new_value", "change_percent", "stale", "association", "removed"),
        *("call_title", "duration_s", "competitors", "said_by", "trackers", "brief", "next_steps"),
    ),
    "deal": (
        *("id", "name", "stage_label", "amount", "currency", "probability", "is_closed", "days_to_close", "overdue"),
        *("idle_days", "days_in_stage", "close_date_pushes", "stage_moved_back", "next_step", "open_task_subjects"),
    ),
    "account": ("id", "name", "industry", "employees", "country"),
    "contact": ("id", "job_title", "buying_roles"),
    "calls": ("count", "days_since_last", "last_title", "competitors_14d"),
}
"""What a question tells, by root of the rules' vocabulary. No address, no number, no owner: none decides anything."""
QUOTED: Final = {"transcript": LONGEST_TRANSCRIPT, "email_text": LONGEST_TRANSCRIPT, "note": LONGEST_TEXT}
"""Whole texts that a payload may carry besides, and how many characters of them are quoted."""
_UNSEEN: Final = re.compile(f"[{UNSEEN}]")


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt of config/prompts/. `version` is its name and content; `canary` must never come back."""

    name: str
    text: str

    @property
    def version(self) -> str:
        """Changes with every change of the text."""
        return f"{self.name}@{hashlib.sha256(self.text.encode()).hexdigest()[:12]}"

    @property
    def canary(self) -> str:
        """A word that nobody would write by chance."""
        return "rp-" + hashlib.sha256(("canary" + self.text).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, what the answer may refer to, and the name under which the answer is kept."""

    prompt: Prompt
    scope: Scope
    template: str

    def key(self, provider: str, model: str) -> str:
        """The same for the same question to the same model."""
        asked = [provider, model, self.template, self.prompt.system, self.prompt.user, self.prompt.schema]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def build(signal: Signal, parts: Mapping[str, Part], policy: LlmPolicy, template: PromptTemplate) -> Question:
    """The question on a signal with its stored context."""
    known = facts(signal, parts, {}, _as_of(signal, parts))
    mask = Mask(_names(known))
    data = {root: _told(known[root], names, mask) for root, names in FACTS.items()}
    quoted = {name: _clean(signal.payload.get(name), mask, longest) for name, longest in QUOTED.items()}
    if texts := {name: text for name, text in quoted.items() if text is not None}:
        data["texts"] = texts
    actions = "\n".join(f"- {kind}" for kind in policy.actions)
    system = Template(template.text).substitute(actions=actions, most=policy.most_actions, canary=template.canary)
    prompt = Prompt(system, fenced(data), answer.json_schema(policy.actions), policy.max_tokens)
    deal, account, contact = known["deal"], known["account"], known["contact"]
    scope = Scope(
        deal_id=deal["id"],
        account_id=account["id"],
        contact_id=contact["id"],
        contact_email=contact["email"],
        owner_id=deal["owner_id"],
        deal_url=deal["url"],
        deal_name=deal["name"],
        mask=mask,
        system=system,
        canary=template.canary,
    )
    return Question(prompt, scope, template.version)


def fenced(data: Any) -> str:
    """The data between fences that nothing in it can close: in JSON a `<` may be spelled otherwise."""
    return f"<data>\n{json.dumps(data, ensure_ascii=False, indent=1).replace('<', chr(92) + 'u003c')}\n</data>"


def _as_of(signal: Signal, parts: Mapping[str, Part]) -> datetime:
    return max((part.fetched_at for part in parts.values()), default=signal.received_at)


def _names(known: Mapping[str, Any]) -> Iterator[str]:
    contact, deal = known["contact"], known["deal"]
    for name in (contact["name"], contact["first_name"], contact["last_name"], deal["owner_name"]):
        if name:
            yield name
    yield from (deal["owner_name"] or "").split()


def _told(values: Mapping[str, Any], names: tuple[str, ...], mask: Mask) -> dict[str, Any]:
    """The named values, without what is not known."""
    # An id is told as it is: the answer must name it.
    told = {name: values.get(name) if name == "id" else _clean(values.get(name), mask) for name in names}
    return {name: value for name, value in told.items() if value not in (None, [], "")}


def _clean(value: Any, mask: Mask, longest: int = LONGEST_TEXT) -> Any:
    if isinstance(value, list | tuple):
        return [_clean(one, mask, longest) for one in value[:MOST_ITEMS]]
    if not isinstance(value, str):
        return value
    return clipped(mask.hide(_UNSEEN.sub("", value)), longest)


def clipped(text: str, longest: int) -> str:
    """Head and tail of a text that is too long: what was agreed often stands at the end."""
    if len(text) <= longest:
        return text
    tail = longest // 3
    return f"{text[: longest - tail]} [{len(text) - longest} characters left out] {text[-tail:]}"
