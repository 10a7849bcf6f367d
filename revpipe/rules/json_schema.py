"""The JSON Schema of rules.yaml for editors, made from the tables that the reader itself uses.

It knows shape, words and simple values. What takes a look at the whole is left to `revpipe rules check`: ids that
come twice, conditions, templates, an action's params, tests that fail.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from revpipe.rules import file, rule_tests
from revpipe.rules.action_params import PARAMS
from revpipe.rules.expression_checks import MAX_LENGTH
from revpipe.rules.fields import EVENTS, FIELDS, Field
from revpipe.rules.rule import MODES
from revpipe.signals import URGENCIES

_LENGTH: Final = r"^\s*[0-9]{1,6}\s*[smhd]\s*$"
_SENTENCE: Final = {"type": "string", "pattern": r"\S", "maxLength": 500}
_ABSENT: Final = {"type": "null"}
# The reader takes what it can read as the field's type: an id given as a number is a text, a number in quotes is one.
_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "text": {"type": ["string", "number", "boolean", "null"]},
    "int": {"type": ["integer", "string", "null"], "pattern": r"^\s*[-+]?[0-9_]+(\.0*)?([eE][-+]?[0-9]+)?\s*$"},
    "float": {"type": ["number", "string", "null"]},
    "bool": {"type": ["boolean", "null"]},
    "time": {"type": ["string", "null"], "pattern": r"^[0-9]{4}"},
    "texts": {"type": ["array", "null"], "items": {"type": "string"}},
}


def schema(action_types: Sequence[str]) -> dict[str, Any]:
    """The schema of a rules file whose actions may be of these types."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "revpipe rules",
        "description": "What config/rules.yaml may hold. docs/rules.md explains it.",
        "type": "object",
        "required": ["rules"],
        "additionalProperties": False,
        "properties": {
            "rules": _list(_rule(), "The rules, in the order in which they are asked.", file.MAX_RULES),
            "urgency": _list(_urgency(), "Conditions that make a signal more urgent; the first that holds wins."),
        },
        "$defs": {
            "action": _action(action_types),
            "test": _test(),
            "expected": _expected(action_types),
            "facts": _facts(),
            "event": _event(),
            "condition": _condition(),
        },
    }


def text(action_types: Sequence[str]) -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(action_types), indent=2) + "\n"


def _rule() -> dict[str, Any]:
    return _object(
        {
            "id": _id("Its name in plans, trail and console."),
            "description": {**_SENTENCE, "description": "One sentence that a rep understands."},
            "owner": {"anyOf": [_SENTENCE, _ABSENT], "description": "The team that looks after the rule."},
            "mode": _word(MODES, "live (the default), or shadow: recorded, without effect."),
            "on": {
                "description": "The events it listens to; * stands for any text.",
                "anyOf": [{"$ref": "#/$defs/event"}, {"type": "array", "minItems": 1, "items": _ref("event")}],
            },
            "when": _ref("condition"),
            "then": _list(_ref("action"), "The actions; none: nothing is due."),
            "conclusive": {"type": "boolean", "description": "true (the default): nothing needs deciding any more."},
            "urgency": _word(URGENCIES, "If it fires, its actions and its signal are at least so urgent."),
            "cooldown": _length("How long it stays quiet for the same subject; default 1d."),
            "expires": _length("How long its actions may wait before they are no longer wanted."),
            "tests": _list(_ref("test"), "Facts, and what the rule must want on them.", rule_tests.MAX_TESTS),
        },
        ("id", "description", "on", "when"),
        file.RULE_KEYS,
    )


def _urgency() -> dict[str, Any]:
    return _object(
        {
            "id": _id("Its name."),
            "description": {"anyOf": [_SENTENCE, _ABSENT]},
            "when": _ref("condition"),
            "urgency": {"enum": list(URGENCIES), "description": "What a signal becomes if this is more urgent."},
        },
        ("id", "when", "urgency"),
        file.URGENCY_KEYS,
    )


def _action(action_types: Sequence[str]) -> dict[str, Any]:
    made = _object(
        {
            "type": {"enum": list(action_types)},
            "params": {"type": "object"},
            "priority": _word(URGENCIES, "Which queue the action takes; as urgent as its signal if left out."),
            "approval": _word(file.APPROVALS, "always: a person agrees first, whatever the policy says."),
        },
        ("type", "params"),
        file.ACTION_KEYS,
    )
    return {**made, "allOf": [_params(kind) for kind in action_types if kind in PARAMS]}


def _params(kind: str) -> dict[str, Any]:
    """The names of a type's params and which it can't do without; their values may be templates."""
    known = PARAMS[kind]
    properties = {name: {"description": f"{param.type}; {param.allowed}"} for name, param in known.items()}
    params = {
        "properties": properties,
        "additionalProperties": False,
        "required": [name for name, param in known.items() if param.needed],
    }
    condition = {"properties": {"type": {"const": kind}}, "required": ["type"]}
    return {"if": condition, "then": {"properties": {"params": params}}}


def _test() -> dict[str, Any]:
    return _object(
        {
            "name": {"type": "string", "pattern": r"\S", "maxLength": 200, "description": "What it shows."},
            "given": _ref("facts"),
            "expect": {
                "description": "The actions, nothing_due (it fires and wants none), or none (it does not fire).",
                "anyOf": [
                    {"enum": [rule_tests.NOT_FIRED, rule_tests.NOTHING_DUE]},
                    _ref("expected"),
                    {"type": "array", "minItems": 1, "items": _ref("expected")},
                ],
            },
        },
        rule_tests.TEST_KEYS,
        rule_tests.TEST_KEYS,
    )


def _expected(action_types: Sequence[str]) -> dict[str, Any]:
    whole = _object(
        {
            "type": {"enum": list(action_types)},
            "params": {"type": "object", "description": "Only those named are compared."},
            "priority": _word(URGENCIES, "Compared if given."),
            "approval": _word(rule_tests.APPROVALS, "Compared if given."),
        },
        ("type",),
        rule_tests.EXPECT_KEYS,
    )
    return {"anyOf": [{"enum": list(action_types)}, whole]}


def _facts() -> dict[str, Any]:
    roots: dict[str, Any] = {
        root: {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: _field(root, name, field) for name, field in fields.items()},
        }
        for root, fields in FIELDS.items()
        if root != "now"
    }
    roots["now"] = {"type": "string", "pattern": r"^[0-9]{4}", "description": "The time of the decision, ISO 8601."}
    return {"type": "object", "additionalProperties": False, "properties": roots}


def _field(root: str, name: str, field: Field) -> dict[str, Any]:
    known = {"enum": [*EVENTS, None]} if (root, name) == ("signal", "event") else _TYPES.get(field.type) or _maps(field)
    return {**known, "description": field.doc}


def _maps(field: Field) -> dict[str, Any]:
    records = {"type": "object", "properties": {key: {"type": "string"} for key in field.keys}}
    return {"type": ["array", "null"], "items": records}


def _event() -> dict[str, Any]:
    # A pattern with * is checked as a whole only by `rules check`; here it must at least be written as one.
    return {"anyOf": [{"enum": list(EVENTS)}, {"type": "string", "pattern": r"^[a-z_.*]*\*[a-z_.*]*$"}]}


def _condition() -> dict[str, Any]:
    text_ = {"type": "string", "pattern": r"\S", "maxLength": MAX_LENGTH + 1}
    return {"anyOf": [text_, {"const": True}], "description": "A CEL condition; true for a rule that always holds."}


def _object(properties: Mapping[str, Any], required: Sequence[str], keys: Sequence[str]) -> dict[str, Any]:
    """A mapping; raises KeyError unless `properties` describes just the keys that the reader takes."""
    ordered = {key: properties[key] for key in keys}
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": ordered}


def _list(items: Mapping[str, Any], doc: str, most: int | None = None) -> dict[str, Any]:
    limit = {} if most is None else {"maxItems": most}
    return {"type": ["array", "null"], "description": doc, "items": items, **limit}


def _id(doc: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{file.ID.pattern}$", "description": doc}


def _word(known: Sequence[str], doc: str) -> dict[str, Any]:
    return {"enum": [*known, None], "description": doc}


def _length(doc: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "pattern": _LENGTH, "description": doc}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}
