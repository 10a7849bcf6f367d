"""`/api/v1/queues`: what waits where, and for which vendor. Numbers only."""

from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields

from revpipe import circuits, parked, queue_states
from revpipe.db import transaction
from revpipe.queue_states import MOST
from revpipe.web.access import allowed
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.fields import maybe, told
from revpipe.web.current import services

blueprint = ApiBlueprint("queues", "/queues", "What waits where, and for which vendor.")


class Queue(Schema):
    """One queue."""

    queue = told(fields.String, "Its name.")
    priority = told(fields.String, "Its priority, or quarantine.")
    due = told(fields.Integer, f"Rows that wait for room in it, counted up to {MOST}.")
    later = told(fields.Integer, f"Rows that wait for their time, counted up to {MOST}.")
    sent = told(fields.Integer, "Rows with the broker.")
    claimed = told(fields.Integer, "Rows with a worker.")
    oldest_s = maybe(fields.Float, "For how many seconds the oldest that nobody has claimed has been due.")


class Circuit(Schema):
    """One vendor and kind of call."""

    name = told(fields.String, "vendor:kind.")
    state = told(fields.String, "closed, open or half_open.")
    failures = told(fields.Integer, "Failures in a row.")
    code = maybe(fields.String, "The error that opened it, or failed last.")
    since_s = maybe(fields.Float, "For how many seconds it has been open.")
    again_in_s = maybe(fields.Float, "In how many seconds the vendor is asked again.")
    waiting = told(fields.Integer, "Rows that wait for it.")


class Queues(Schema):
    """All of them."""

    queues = told(fields.List, "Every queue.", cls_or_instance=fields.Nested(Queue))
    circuits = maybe(
        fields.List,
        "Circuits that failed lately, are open, or are waited for; null while Redis does not answer.",
        cls_or_instance=fields.Nested(Circuit),
    )


@blueprint.route("")
@allowed("queues.read")
@blueprint.response(200, Queues)
@blueprint.doc(operationId="queues")
def list_() -> dict[str, Any]:
    """Every queue, and the circuits that keep rows waiting."""
    with transaction(services().engine) as tx:
        rows = queue_states.read(tx, services().clock.now())
        waiting = parked.waiting(tx)
    queues = [{**asdict(one), "priority": one.priority} for one in rows]
    return {"queues": queues, "circuits": circuits.told(services().circuits, waiting)}
