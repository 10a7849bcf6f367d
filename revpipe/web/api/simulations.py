"""`/api/v1/simulations`: what another rules file would have decided."""

from datetime import datetime, timedelta
from threading import BoundedSemaphore
from typing import Any, Final

from flask import Response

from revpipe.errors import Misconfigured
from revpipe.rules import book
from revpipe.simulating import newest
from revpipe.simulating.ledger import Period
from revpipe.web.access import allowed
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.once import once
from revpipe.web.api.rule_schemas import LONGEST_DAYS, Simulated, Simulation
from revpipe.web.current import services
from revpipe.web.errors import problem

blueprint = ApiBlueprint("simulations", "/simulations", "What another rules file would have decided.")

_TURN: Final = BoundedSemaphore(1)
"""One simulation at a time in a web process: it takes a processor for a second or two, and two connections."""


@blueprint.route("", methods=["POST"])
@allowed("rules.simulate")
@blueprint.headers("idempotency_key")
@blueprint.arguments(Simulation)
@once
@blueprint.response(200, Simulated)
@blueprint.doc(operationId="simulate")
def simulate(asked: dict[str, Any]) -> dict[str, Any] | Response:
    """What a rules file would have decided on the newest signals. Only reads: nothing is planned, sent or queued."""
    try:
        made = book.load(asked["rules"], services().checks, "rules")
    except Misconfigured as error:
        faults = {"json": {"rules": str(error).splitlines()}}
        return problem(422, "Unprocessable Content", "The rules have faults; see `errors`.", errors=faults)
    period = _period(asked.get("since"), asked.get("until") or services().clock.now())
    if not _TURN.acquire(blocking=False):
        return problem(503, "Busy", "Another simulation is under way; try again when it is done.", retry=True)
    try:
        found = newest.simulate(services(), made, period, asked["most"])
    finally:
        _TURN.release()
    return {"rules_version": made.version, **found.as_dict()}


def _period(since: datetime | None, until: datetime) -> Period:
    """At most LONGEST_DAYS of it."""
    try:
        first = until - timedelta(days=LONGEST_DAYS)
    except OverflowError:
        first = until
    return Period(max(since or first, first), until)
