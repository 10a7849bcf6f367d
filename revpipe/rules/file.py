"""From the text of rules.yaml to checked rules; every fault is told with its line and what to do."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from revpipe.durations import duration
from revpipe.errors import Misconfigured, RevpipeError
from revpipe.marked_yaml import Document, Path, parse
from revpipe.rules import samples
from revpipe.rules.expression_checks import condition_faults
from revpipe.rules.expressions import CompiledTerm, terms
from revpipe.rules.fields import EVENTS
from revpipe.rules.name_checks import guess
from revpipe.rules.rule import LIVE, MODES, Rule, RuleAction, RuleFile, UrgencyRule
from revpipe.rules.rule_tests import read_tests
from revpipe.rules.templates import Renderer, compile_params, param_faults
from revpipe.signals import URGENCIES

ActionTypes = Mapping[str, Callable[[Mapping[str, Any]], None] | None]
APPROVALS: Final = ("always", "never")
TOP_KEYS: Final = ("rules", "urgency")
RULE_KEYS: Final = (
    *("id", "description", "owner", "mode", "on", "when", "then"),
    *("conclusive", "urgency", "cooldown", "expires", "tests"),
)
ACTION_KEYS: Final = ("type", "params", "priority", "approval")
URGENCY_KEYS: Final = ("id", "description", "when", "urgency")
DEFAULT_COOLDOWN: Final = timedelta(days=1)
LONGEST_COOLDOWN: Final = timedelta(days=366)
LONGEST_EXPIRES: Final = timedelta(days=30)
MAX_RULES: Final = 200
ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def read(text: str, action_types: ActionTypes, name: str) -> RuleFile:
    """The checked rules in `text`. Raises Misconfigured: `name:LINE: fault and what to do` for each fault."""
    reader = _Reader(parse(text, name), action_types)
    made = reader.file()
    reader.document.raise_faults()
    return made


class _Reader:
    """Goes through one document and notes faults in it instead of stopping at the first."""

    def __init__(self, document: Document, action_types: ActionTypes) -> None:
        self.document = document
        self.action_types = action_types

    def file(self) -> RuleFile:
        top = self.document.value
        if not isinstance(top, dict):
            self.document.fault((), "the file must have the key `rules`, and may have `urgency`")
            return RuleFile((), ())
        self.document.unknown_keys((), top, TOP_KEYS)
        if "rules" not in top:
            self.document.fault((), "the key `rules` is missing")
        if isinstance(top.get("rules"), list) and len(top["rules"]) > MAX_RULES:
            self.document.fault(("rules",), f"more than {MAX_RULES} rules")
        rules = [self.rule(path, item) for path, item in self.items(top, ("rules",), RULE_KEYS)]
        urgencies = [self.urgency(path, item) for path, item in self.items(top, ("urgency",), URGENCY_KEYS)]
        return RuleFile(tuple(rules), tuple(urgencies))

    def items(
        self, parent: Mapping[str, Any], path: Path, keys: tuple[str, ...]
    ) -> Iterable[tuple[Path, dict[str, Any]]]:
        """The mappings of a list, each with its path; ids must be there and differ."""
        found = parent.get(str(path[-1])) or []
        if not isinstance(found, list):
            self.document.fault(path, f"`{path[-1]}` must be a list")
            return
        seen: dict[str, int] = {}
        for index, item in enumerate(found):
            here = (*path, index)
            if not isinstance(item, dict):
                self.document.fault(here, f"each item must have the keys {', '.join(keys)}")
                continue
            self.document.unknown_keys(here, item, keys)
            if "id" in keys:
                self.identity(here, item, seen)
            yield here, item

    def identity(self, path: Path, item: Mapping[str, Any], seen: dict[str, int]) -> None:
        name = item.get("id")
        if not isinstance(name, str) or not ID.fullmatch(name):
            self.document.fault((*path, "id"), "needs an `id` of lower-case letters, digits and dashes")
            return
        if name in seen:
            self.document.fault((*path, "id"), f"the id {name!r} is taken by line {seen[name]}; choose another")
        seen.setdefault(name, self.document.line((*path, "id")))

    def rule(self, path: Path, item: Mapping[str, Any]) -> Rule:
        on, events = self.events((*path, "on"), item.get("on"))
        when, parts = self.condition((*path, "when"), item.get("when"))
        return Rule(
            id=str(item.get("id")),
            description=self.text((*path, "description"), item.get("description"), required=True),
            owner=self.text((*path, "owner"), item.get("owner")),
            on=on,
            events=events,
            when=when,
            terms=parts,
            then=tuple(self.action(*found) for found in self.items(item, (*path, "then"), ACTION_KEYS)),
            conclusive=self.flag((*path, "conclusive"), item.get("conclusive", True)),
            cooldown=self.cooldown((*path, "cooldown"), item.get("cooldown")),
            urgency=self.word((*path, "urgency"), item.get("urgency"), URGENCIES),
            expires=self.expires((*path, "expires"), item.get("expires")),
            mode=self.word((*path, "mode"), item.get("mode"), MODES) or LIVE,
            tests=read_tests(self.document, path, item.get("tests"), on, events, tuple(self.action_types)),
        )

    def urgency(self, path: Path, item: Mapping[str, Any]) -> UrgencyRule:
        when, parts = self.condition((*path, "when"), item.get("when"))
        description = self.text((*path, "description"), item.get("description"))
        word = self.word((*path, "urgency"), item.get("urgency"), URGENCIES, required=True)
        return UrgencyRule(str(item.get("id")), description, when, parts, word or "standard")

    def action(self, path: Path, item: Mapping[str, Any]) -> RuleAction:
        kind = self.word((*path, "type"), item.get("type"), tuple(self.action_types), required=True)
        params = item.get("params")
        if not isinstance(params, dict):
            self.document.fault((*path, "params"), "an action needs `params`, a mapping")
            params = {}
        render = self.params((*path, "params"), params, self.action_types.get(kind or ""))
        priority = self.word((*path, "priority"), item.get("priority"), URGENCIES)
        approval = self.word((*path, "approval"), item.get("approval"), APPROVALS)
        return RuleAction(kind or "", params, render, priority, approval)

    def params(self, path: Path, params: dict[str, Any], check: Callable[[Mapping[str, Any]], None] | None) -> Renderer:
        faults = list(param_faults(params))
        for inner, fault in faults:
            self.document.fault((*path, *inner), fault)
        if faults:
            return dict
        render = compile_params(params)
        if check is not None:
            try:
                check(render(samples.sample(0)))
            except RevpipeError as error:
                self.document.fault(path, f"these params can't be carried out: {error}")
        return render

    def condition(self, path: Path, value: Any) -> tuple[str, tuple[CompiledTerm, ...]]:
        text = "true" if value is True else value
        if not isinstance(text, str):
            self.document.fault(path, "needs `when`, a condition as text; `true` for a rule that always holds")
            return "", ()
        text = text.strip()
        faults = condition_faults(text)
        for fault in faults:
            self.document.fault(path, f"when: {fault}")
        return text, () if faults else terms(text)

    def events(self, path: Path, value: Any) -> tuple[tuple[str, ...], frozenset[str]]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list) or not names or not all(isinstance(item, str) for item in names):
            self.document.fault(path, "needs `on`, a list of events such as [deal.stage_changed, call.*]")
            return (), frozenset()
        found: set[str] = set()
        for index, name in enumerate(names):
            matched = {event for event in EVENTS if _matches(event, name)}
            if not matched:
                near = guess(name, EVENTS) or "; docs/rules.md lists the events"
                self.document.fault((*path, index), f"unknown event {name!r}{near}")
            found |= matched
        return tuple(names), frozenset(found)

    def length(self, path: Path, value: Any, longest: timedelta) -> timedelta | None:
        """A length of time, None if none is given or it can't be read."""
        if value is None:
            return None
        try:
            length = duration(value, str(path[-1]))
        except Misconfigured as error:
            self.document.fault(path, str(error))
            return None
        if length > longest:
            self.document.fault(path, f"{path[-1]}: {value} is longer than {longest.days}d")
        return length

    def cooldown(self, path: Path, value: Any) -> timedelta:
        length = self.length(path, value, LONGEST_COOLDOWN)
        return DEFAULT_COOLDOWN if length is None else length

    def expires(self, path: Path, value: Any) -> timedelta | None:
        length = self.length(path, value, LONGEST_EXPIRES)
        if length is not None and length <= timedelta(0):
            self.document.fault(path, "expires: must be longer than nothing; leave it out for no limit of its own")
        return length

    def word(self, path: Path, value: Any, known: tuple[str, ...], *, required: bool = False) -> str | None:
        if value in known:
            return str(value)
        if value is not None:
            near = guess(str(value), known)
            self.document.fault(path, f"unknown {path[-1]} {value!r}{near} (there are {', '.join(known)})")
        elif required:
            self.document.fault(path, f"needs `{path[-1]}`: one of {', '.join(known)}")
        return None

    def flag(self, path: Path, value: Any) -> bool:
        if not isinstance(value, bool):
            self.document.fault(path, f"`{path[-1]}` must be true or false")
        return bool(value)

    def text(self, path: Path, value: Any, *, required: bool = False) -> str:
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not value.strip() or len(value) > 500:
            self.document.fault(path, f"needs `{path[-1]}`: a sentence of at most 500 characters")
            return ""
        return value.strip()


def _matches(event: str, pattern: str) -> bool:
    return "[" not in pattern and "?" not in pattern and fnmatchcase(event, pattern)
