"""`/api/v1/signals`: what came in, what was known of it, and what became of it."""

import uuid
from typing import Any

from flask import abort

from revpipe.db import transaction
from revpipe.lists import signals
from revpipe.web.access import allowed
from revpipe.web.api import own, paging
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.signal_schemas import SignalPage, SignalQuery, SignalWhole, TrailPage
from revpipe.web.current import services

blueprint = ApiBlueprint("signals", "/signals", "What came in, what was known of it, and what became of it.")

KIND = "signals"
NONE = "No signal has this id; list them with GET /api/v1/signals. What is past its retention is gone."


@blueprint.route("")
@allowed("signals.read")
@blueprint.links(
    signal={"operationId": "signal", "parameters": {"signal_id": "$response.body#/items/0/signal_id"}},
    trail={"operationId": "signal_trail", "parameters": {"signal_id": "$response.body#/items/0/signal_id"}},
    next_signals={"operationId": "signals", "parameters": {"after": "$response.body#/next"}},
)
@blueprint.problems(404)
@blueprint.arguments(SignalQuery, location="query")
@blueprint.response(200, SignalPage)
@blueprint.doc(operationId="signals")
def list_(asked: dict[str, Any]) -> dict[str, Any]:
    """Signals, the one received last in front."""
    limit, after = asked.pop("limit"), paging.mark(KIND, asked.pop("after", None))
    wanted = signals.Filter(**asked, owners=own.owners())
    with transaction(services().engine) as tx:
        return paging.answer(KIND, signals.page(tx, wanted, limit, after))


@blueprint.route("/<uuid:signal_id>")
@allowed("signals.read")
@blueprint.problems(404)
@blueprint.response(200, SignalWhole)
@blueprint.doc(operationId="signal")
def show(signal_id: uuid.UUID) -> dict[str, Any]:
    """One signal, with its payload and context."""
    with transaction(services().engine) as tx:
        found = signals.show(tx, signal_id)
        if found is None:
            abort(404, NONE)
        own.demand(tx, signal_id)
    return found


@blueprint.route("/<uuid:signal_id>/trail")
@allowed("signals.read")
@blueprint.problems(404)
@blueprint.arguments(paging.Query, location="query")
@blueprint.response(200, TrailPage)
@blueprint.doc(operationId="signal_trail")
def trail(asked: dict[str, Any], signal_id: uuid.UUID) -> dict[str, Any]:
    """What happened to a signal, the first thing in front."""
    after = paging.mark("trail", asked.get("after"))
    with transaction(services().engine) as tx:
        found = signals.trail(tx, signal_id, asked["limit"], after)
        if found is None:
            abort(404, NONE)
        own.demand(tx, signal_id)
    return paging.answer("trail", found)
