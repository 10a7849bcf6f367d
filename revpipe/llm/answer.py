"""What a model may answer: the schema that it is given, and the same as we check it."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from marshmallow import RAISE, Schema, ValidationError, fields, post_load
from marshmallow.validate import Length, Range

from revpipe.errors import BadPayload
from revpipe.payloads import check_storable

MOST_READ: Final = 20
"""Actions that an answer may list before it is no answer; how many may be wanted is policy's to say."""
_ID: Final = {"type": ["string", "null"]}


class Malformed(Exception):
    """The answer is no JSON of our schema; the text says why, for the model and for the ledger."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class Proposal:
    """One action that the model wants. Not trusted: see guards.py."""

    type: str
    deal_id: str | None
    account_id: str | None
    contact_id: str | None
    to: str | None
    subject: str
    text: str
    due_in_days: int | None
    needs_approval: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """All that the model wants, and its reason."""

    actions: tuple[Proposal, ...]
    reason: str


class _ProposalSchema(Schema):
    type = fields.String(required=True, validate=Length(1, 40))
    deal_id = fields.String(required=True, allow_none=True, validate=Length(max=100))
    account_id = fields.String(required=True, allow_none=True, validate=Length(max=100))
    contact_id = fields.String(required=True, allow_none=True, validate=Length(max=100))
    to = fields.String(required=True, allow_none=True, validate=Length(max=320))
    subject = fields.String(required=True, validate=Length(1, 200))
    text = fields.String(required=True, validate=Length(1, 4000))
    due_in_days = fields.Integer(required=True, strict=True, allow_none=True, validate=Range(0, 365))
    needs_approval = fields.Boolean(required=True, truthy={True}, falsy={False})

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Proposal:
        return Proposal(**data)


class _AnswerSchema(Schema):
    actions = fields.List(fields.Nested(_ProposalSchema), required=True, validate=Length(max=MOST_READ))
    reason = fields.String(required=True, validate=Length(1, 1000))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Answer:
        return Answer(tuple(data["actions"]), data["reason"])


_SCHEMA: Final = _AnswerSchema(unknown=RAISE)


def json_schema(actions: tuple[str, ...]) -> dict[str, Any]:
    """The schema for the model, within what both vendors take: everything required, no lengths, no ranges."""
    proposal = {
        "type": {"type": "string", "enum": list(actions)},
        "deal_id": _ID,
        "account_id": _ID,
        "contact_id": _ID,
        "to": _ID,
        "subject": {"type": "string"},
        "text": {"type": "string"},
        "due_in_days": {"type": ["integer", "null"]},
        "needs_approval": {"type": "boolean"},
    }
    return _object({"reason": {"type": "string"}, "actions": {"type": "array", "items": _object(proposal)}})


def read(text: str) -> Answer:
    """The answer in a model's words. Raises Malformed: `malformed` for what is no JSON, `wrong_schema` for the rest."""
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
        # NUL and half characters are JSON, and nothing that the ledger could store.
        check_storable(value)
    except (ValueError, RecursionError, BadPayload) as error:
        raise Malformed("malformed", f"not JSON: {str(error)[:150]}") from error
    try:
        answer: Answer = _SCHEMA.load(value)
    except ValidationError as error:
        raise Malformed("wrong_schema", f"not of the schema: {str(error.messages)[:300]}") from error
    return answer


def as_dict(answer: Answer) -> dict[str, Any]:
    """The answer as it is stored."""
    return {"actions": [asdict(one) for one in answer.actions], "reason": answer.reason}


def of_dict(stored: dict[str, Any]) -> Answer:
    """The answer from its stored form."""
    return Answer(tuple(Proposal(**one) for one in stored["actions"]), stored["reason"])


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made
