"""`/api/v1/audit`: what people did to the pipeline by hand."""

import uuid
from typing import Any

from marshmallow import Schema, fields

from revpipe import audit
from revpipe.db import transaction
from revpipe.lists.walks import Mark
from revpipe.web.access import allowed
from revpipe.web.api import paging
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.fields import Id, Moment, told
from revpipe.web.current import services

blueprint = ApiBlueprint("audit", "/audit", "What people did to the pipeline by hand.")

KIND = "audit"


class Act(Schema):
    """One thing that somebody did."""

    audit_id = told(Id, "Its id.")
    at = told(Moment, "When.")
    actor = told(fields.String, "Who: an e-mail, user@host at a terminal, or policy.")
    command = told(fields.String, "What.")
    detail = told(fields.Dict, "Ids, codes and numbers; `outcome` says what came of it.")


ActPage = paging.page_of(Act, "ActPage")


@blueprint.route("")
@allowed("audit.read")
@blueprint.links(next_acts={"operationId": "audit", "parameters": {"after": "$response.body#/next"}})
@blueprint.problems(404)
@blueprint.arguments(paging.Query, location="query")
@blueprint.response(200, ActPage)
@blueprint.doc(operationId="audit")
def list_(asked: dict[str, Any]) -> dict[str, Any]:
    """What was done, the newest in front."""
    limit, after = asked["limit"], paging.mark(KIND, asked.get("after"))
    before: uuid.UUID | None = None if after is None else after.id
    with transaction(services().engine) as tx:
        rows = audit.listing(tx, limit + 1, before)
    return paging.answer(KIND, paging.cut(rows, limit, lambda row: Mark(row["at"], row["audit_id"])))
