"""Approvals on the wire."""

from marshmallow import Schema, fields, validate

from revpipe.models.approval import STATES
from revpipe.web.api.fields import Id, Moment, Text, maybe, one_of, record, told
from revpipe.web.api.paging import Query, page_of

LONGEST_REASON = 2_000


class ApprovalQuery(Query):
    """Filters of approvals."""

    state = one_of(STATES, "In this state.")
    state.load_default = "open"
    owner_id = record("Of the deals of this owner, by the CRM's id.")


class Approver(Schema):
    """Who is asked: one person, or everybody with a role."""

    user_id = maybe(Id, "The user's id.")
    email = maybe(fields.String, "The user's e-mail.")
    role = maybe(fields.String, "The role.")


class Decided(Schema):
    """Who decided."""

    by = maybe(fields.String, "Their e-mail, or policy.")
    way = maybe(fields.String, "By which way: console, slack, email, api, cli or policy.")
    at = told(Moment, "When.")
    reason = maybe(fields.String, "Why, where it was said.")


class Version(Schema):
    """One version of what is to be done."""

    version = told(fields.Integer, "Its number, from 1.")
    params = told(fields.Dict, "What the action would write.")
    by = told(fields.String, "Who wrote it.")
    way = told(fields.String, "By which way.")
    at = told(Moment, "When.")


class Approval(Schema):
    """What is to be done, why, who is asked, and what came of it."""

    action_id = told(Id, "The action that waits: names the approval, too.")
    approval_id = told(Id, "Its own id.")
    signal_id = told(Id, "The signal that the action answers.")
    state = told(fields.String, "open, or how it ended.")
    version = told(fields.Integer, "The newest version: what an approval would carry out.")
    type = told(fields.String, "What is to be done.")
    params = told(fields.Dict, "What it would write, in its newest version.")
    rule_id = told(fields.String, "The rule that wants it.")
    why = told(fields.String, "Why, in the rule's words.")
    decided_by = told(fields.String, "Who proposed it: rules, llm or fallback.")
    deal_id = maybe(fields.String, "The CRM's id of the deal.")
    deal_name = maybe(fields.String, "The deal's name.")
    owner_id = maybe(fields.String, "The CRM's id of the deal's owner.")
    approver = told(fields.Nested, "Who is asked.", nested=Approver())
    requested_at = told(Moment, "When they were asked.")
    expires_at = told(Moment, "Until when they may decide.")
    on_expiry = told(fields.String, "What happens then.")
    risk = told(fields.String, "low, or what policy says.")
    decided = maybe(fields.Nested, "Who decided; null while it is open.", nested=Decided())
    outcome = maybe(fields.String, "What became of the action.")


class ApprovalWhole(Approval):
    """An approval with every version of it."""

    versions = told(fields.List, "The oldest in front.", cls_or_instance=fields.Nested(Version))


class Rejection(Schema):
    """A no."""

    reason = Text(
        required=True,
        validate=validate.Length(1, LONGEST_REASON, error="Write {min} to {max} characters."),
        metadata={"description": "Why not: whoever wrote the rule reads it."},
    )


class Edit(Schema):
    """Other words for what is to be done."""

    changes = fields.Dict(
        keys=fields.String(),
        required=True,
        validate=validate.Length(1, 50, error="Write {min} to {max} fields."),
        metadata={"description": "Field of `params` → its new value. What is not named stays."},
    )


ApprovalPage = page_of(Approval, "ApprovalPage")
