"""`/`: what runs here, in numbers only."""

from flask import Blueprint, Response

from revpipe import queries
from revpipe.db import transaction
from revpipe.web.access import public
from revpipe.web.current import services

blueprint = Blueprint("front", __name__)


@blueprint.get("/")
@public("counts only")
def front() -> Response:
    """Counts of open signals as plain text; no customer data, so it needs no sign-in."""
    with transaction(services().engine) as tx:
        counts = queries.open_signals(tx)
    lines = ["revpipe", "", "open signals", *(f"{count:>8}  {name}" for name, count in counts.items())]
    lines += ["", "/healthz  this process   /readyz  database, broker, keeper"]
    return Response("\n".join(lines) + "\n", mimetype="text/plain")
