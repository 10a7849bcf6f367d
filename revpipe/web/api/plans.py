"""`/api/v1/plans`: the decisions, who made them, and why."""

import uuid
from typing import Any

from flask import abort
from marshmallow import Schema, fields

from revpipe.db import transaction
from revpipe.lists import plans
from revpipe.web.access import allowed
from revpipe.web.api import own, paging
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.fields import Id, Moment, YesNo, one_of, told, word
from revpipe.web.current import services

blueprint = ApiBlueprint("plans", "/plans", "The decisions: who made them, by which rules, and why.")

KIND = "plans"
DECIDED_BY = ("rules", "llm", "fallback")


class PlanQuery(paging.Query):
    """Filters of plans."""

    since = Moment(metadata={"description": "Made from then on."})
    until = Moment(metadata={"description": "Made before then."})
    decided_by = one_of(DECIDED_BY, "Made by these.")
    rules_version = word("Made under this version of the rules.")
    conclusive = YesNo(metadata={"description": "Whether rules settled it."})
    signal_id = Id(metadata={"description": "Of this signal."})


class Plan(Schema):
    """One decision in short."""

    plan_id = told(Id, "Its id.")
    signal_id = told(Id, "The signal decided on.")
    decided_by = told(fields.String, "rules, llm or fallback.")
    rules_version = told(fields.String, "The version of the rules that were asked.")
    conclusive = told(fields.Boolean, "Whether rules settled it.")
    created_at = told(Moment, "When it was made.")


class PlanWhole(Plan):
    """One decision with its explanation."""

    why = told(fields.Dict, "Which rules fired, each rule's terms with their values, and what the LLM answered.")
    action_ids = told(fields.List, "The actions it wants.", cls_or_instance=Id())


PlanPage = paging.page_of(Plan, "PlanPage")


@blueprint.route("")
@allowed("plans.read")
@blueprint.links(
    plan={"operationId": "plan", "parameters": {"plan_id": "$response.body#/items/0/plan_id"}},
    next_plans={"operationId": "plans", "parameters": {"after": "$response.body#/next"}},
)
@blueprint.problems(404)
@blueprint.arguments(PlanQuery, location="query")
@blueprint.response(200, PlanPage)
@blueprint.doc(operationId="plans")
def list_(asked: dict[str, Any]) -> dict[str, Any]:
    """Plans, the one made last in front."""
    limit, after = asked.pop("limit"), paging.mark(KIND, asked.pop("after", None))
    wanted = plans.Filter(**asked, owners=own.owners())
    with transaction(services().engine) as tx:
        return paging.answer(KIND, plans.page(tx, wanted, limit, after))


@blueprint.route("/<uuid:plan_id>")
@allowed("plans.read")
@blueprint.problems(404)
@blueprint.response(200, PlanWhole)
@blueprint.doc(operationId="plan")
def show(plan_id: uuid.UUID) -> dict[str, Any]:
    """One plan, with why it was decided so."""
    with transaction(services().engine) as tx:
        found = plans.show(tx, plan_id)
        if found is None:
            abort(404, "No plan has this id; list them with GET /api/v1/plans.")
        own.demand(tx, found["signal_id"])
    return found
