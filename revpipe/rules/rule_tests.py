"""The tests that stand beside a rule: facts, given sparsely, and the actions expected of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from revpipe.marked_yaml import Document, Path
from revpipe.rules import samples
from revpipe.rules.deal_facts import moment
from revpipe.rules.fields import EVENTS, FIELDS, Field
from revpipe.rules.name_checks import field_fault, guess
from revpipe.rules.rule import ExpectedAction, RuleTest
from revpipe.rules.vocabulary import shape
from revpipe.signals import URGENCIES

TEST_KEYS: Final = ("name", "given", "expect")
EXPECT_KEYS: Final = ("type", "params", "priority", "approval")
NOT_FIRED: Final = "none"
NOTHING_DUE: Final = "nothing_due"
MAX_TESTS: Final = 50
APPROVALS: Final = ("always", "never")
ALWAYS_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "signal": {"urgency": "standard", "stale": False},
    "history": {
        "open_actions": [],
        "open_rules": [],
        "open_types": [],
        "actions_30d": 0,
        "signals_7d": 0,
        "rejected_30d": 0,
        "rules_30d": [],
    },
}
"""What is never absent for a live signal, as it is where nothing speaks of it: a test need not say so."""


def read_tests(
    document: Document,
    rule: Path,
    value: Any,
    on: Sequence[str],
    events: Collection[str],
    action_types: Sequence[str],
) -> tuple[RuleTest, ...]:
    """The tests under a rule. Faults are noted in the document."""
    path = (*rule, "tests")
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_TESTS:
        document.fault(path, f"`tests` must be a list of at most {MAX_TESTS}, each with {', '.join(TEST_KEYS)}")
        return ()
    reader = _TestReader(document, next((name for name in (*on, *EVENTS) if name in events), None), action_types)
    found = [reader.test((*path, index), item) for index, item in enumerate(value)]
    names = [one.name for one in found if one]
    for index, one in enumerate(found):
        if one and names.count(one.name) > 1:
            document.fault((*path, index, "name"), f"the name {one.name!r} stands at two tests of this rule")
    return tuple(one for one in found if one)


class _TestReader:
    def __init__(self, document: Document, event: str | None, action_types: Sequence[str]) -> None:
        self.document = document
        self.event = event
        self.action_types = action_types

    def test(self, path: Path, item: Any) -> RuleTest | None:
        if not isinstance(item, dict):
            self.document.fault(path, f"each test must have the keys {', '.join(TEST_KEYS)}")
            return None
        self.document.unknown_keys(path, item, TEST_KEYS)
        name = item.get("name")
        if not isinstance(name, str) or not name.strip() or len(name) > 200:
            self.document.fault((*path, "name"), "a test needs a `name`: what it shows, in at most 200 characters")
            name = ""
        given = self.given((*path, "given"), item.get("given"))
        expected = self.expected((*path, "expect"), item.get("expect"))
        return RuleTest(name.strip(), self.document.line(path), given, expected)

    def given(self, path: Path, value: Any) -> Mapping[str, Any]:
        facts = samples.absent()
        for root, known in ALWAYS_KNOWN.items():
            facts[root].update(known)
        facts["signal"]["event"] = self.event
        if not isinstance(value, dict):
            self.document.fault(path, "a test needs `given`: facts by root, as in deal: {is_closed: false}")
            return facts
        for root, fields in value.items():
            if root == "now":
                facts["now"] = moment(fields) or facts["now"]
                if moment(fields) is None:
                    self.document.fault((*path, root), "now: write a time such as 2026-01-20T12:00:00Z")
            elif root not in FIELDS:
                self.document.fault((*path, root), field_fault(root, "") or "")
            elif not isinstance(fields, dict):
                self.document.fault((*path, root), f"{root} must be a mapping from field to value")
            else:
                for name, given in fields.items():
                    facts[root][name] = self.value((*path, root, name), root, name, given)
        if facts["signal"]["changes"] is None:
            facts["signal"]["changes"] = shape([facts["signal"]], FIELDS["signal"]["changes"])
        return facts

    def value(self, path: Path, root: str, name: str, given: Any) -> Any:
        fault = field_fault(root, name)
        if fault:
            self.document.fault(path, fault)
            return None
        field: Field = FIELDS[root][name]
        made = shape(given, field)
        if made is None and given is not None:
            self.document.fault(path, f"{root}.{name} is of type {field.type}; {given!r} is not")
        if (root, name) == ("signal", "event") and made is not None and made not in EVENTS:
            self.document.fault(path, f"unknown event {made!r}{guess(made, EVENTS)}")
        return made

    def expected(self, path: Path, value: Any) -> tuple[ExpectedAction, ...] | None:
        if value == NOT_FIRED:
            return None
        if value == NOTHING_DUE:
            return ()
        items = [value] if isinstance(value, str | dict) else value
        if not isinstance(items, list) or not items:
            self.document.fault(
                path,
                f"a test needs `expect`: the actions' types, {NOTHING_DUE} if it fires and wants none,"
                f" or {NOT_FIRED} if it does not fire",
            )
            return None
        return tuple(self.action((*path, index), item) for index, item in enumerate(items))

    def action(self, path: Path, item: Any) -> ExpectedAction:
        if not isinstance(item, dict):
            item = {"type": item}
        self.document.unknown_keys(path, item, EXPECT_KEYS)
        self.word(path, item.get("type"), self.action_types, needed=True)
        self.word((*path, "priority"), item.get("priority"), URGENCIES)
        self.word((*path, "approval"), item.get("approval"), APPROVALS)
        params = item.get("params", {})
        if not isinstance(params, dict):
            self.document.fault((*path, "params"), "params must be a mapping from name to expected value")
            params = {}
        return ExpectedAction(str(item.get("type")), params, item.get("priority"), item.get("approval"))

    def word(self, path: Path, value: Any, known: Sequence[str], *, needed: bool = False) -> None:
        if value not in known and (needed or value is not None):
            near = guess(str(value), known)
            self.document.fault(path, f"a test can't expect {value!r}{near} (there are {', '.join(known)})")
