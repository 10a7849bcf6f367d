"""`/api/v1/actions`: the effects that are wanted, and what became of each."""

import uuid
from typing import Any

from flask import abort
from marshmallow import Schema, fields

from revpipe.action_policy import ACTION_TYPES
from revpipe.db import transaction
from revpipe.lists import actions
from revpipe.models.action import STATES
from revpipe.web.access import allowed
from revpipe.web.api import own, paging
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.fields import Id, Moment, maybe, one_of, record, told, word
from revpipe.web.current import services

blueprint = ApiBlueprint("actions", "/actions", "The effects that are wanted, and what became of each.")

KIND = "actions"


class ActionQuery(paging.Query):
    """Filters of actions."""

    since = Moment(metadata={"description": "Planned from then on."})
    until = Moment(metadata={"description": "Planned before then."})
    type = one_of(ACTION_TYPES, "Of this type.")
    state = one_of(STATES, "In this state.")
    adapter = word("For this outside system.")
    rule_id = word("Wanted by this rule.")
    subject = record("About this subject, as `deal:123`.")
    signal_id = Id(metadata={"description": "Of this signal."})
    plan_id = Id(metadata={"description": "Of this plan."})
    correlation_id = Id(metadata={"description": "Of this correlation."})


class Action(Schema):
    """One action, without what it is to write."""

    action_id = told(Id, "Its id.")
    signal_id = told(Id, "The signal that it answers.")
    plan_id = told(Id, "The plan that wants it.")
    correlation_id = told(Id, "Leads from the request to the effect.")
    rule_id = told(fields.String, "The rule that wants it.")
    subject = told(fields.String, "What it is about, as `deal:123`.")
    deal_id = maybe(fields.String, "The CRM's id of the deal.")
    account_id = maybe(fields.String, "The CRM's id of the account.")
    contact_id = maybe(fields.String, "The CRM's id of the contact.")
    type = told(fields.String, "What is to be done.")
    adapter = told(fields.String, "By which outside system.")
    priority = told(fields.String, "How urgent it is.")
    state = told(fields.String, "How far it is.")
    reason = maybe(fields.String, "Why it is in this state.")
    suppressed_by = maybe(Id, "The action that stood in its way.")
    created_at = told(Moment, "When it was planned.")
    done_at = maybe(Moment, "When it ended.")


class ActionWhole(Action):
    """One action with all that is known of it."""

    params = told(fields.Dict, "What it writes.")
    approval = maybe(fields.String, "What its rule says of approval: always, never, or null for policy.")
    attempts = told(fields.Integer, "How often it was tried.")
    maybe_done = told(fields.Boolean, "Whether a call may have had its effect without an answer.")
    first_tried_at = maybe(Moment, "When it was tried first.")
    tried_at = maybe(Moment, "When it was tried last.")
    replayed_at = maybe(Moment, "When a person last had it carried out anew.")
    effect = maybe(fields.Dict, "The effect at its vendor: id and link.")


ActionPage = paging.page_of(Action, "ActionPage")


@blueprint.route("")
@allowed("actions.read")
@blueprint.links(
    action={"operationId": "action", "parameters": {"action_id": "$response.body#/items/0/action_id"}},
    next_actions={"operationId": "actions", "parameters": {"after": "$response.body#/next"}},
)
@blueprint.problems(404)
@blueprint.arguments(ActionQuery, location="query")
@blueprint.response(200, ActionPage)
@blueprint.doc(operationId="actions")
def list_(asked: dict[str, Any]) -> dict[str, Any]:
    """Actions, the one planned last in front."""
    limit, after = asked.pop("limit"), paging.mark(KIND, asked.pop("after", None))
    wanted = actions.Filter(**asked, owners=own.owners())
    with transaction(services().engine) as tx:
        return paging.answer(KIND, actions.page(tx, wanted, limit, after))


@blueprint.route("/<uuid:action_id>")
@allowed("actions.read")
@blueprint.problems(404)
@blueprint.response(200, ActionWhole)
@blueprint.doc(operationId="action")
def show(action_id: uuid.UUID) -> dict[str, Any]:
    """One action, with what it writes and the effect that it had."""
    with transaction(services().engine) as tx:
        found = actions.show(tx, action_id)
        if found is None:
            abort(404, "No action has this id; list them with GET /api/v1/actions.")
        own.demand(tx, found["signal_id"])
    return found
