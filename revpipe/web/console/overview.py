"""`/console/`: the first look."""

from typing import Final

from flask import Blueprint, render_template

from revpipe import overview
from revpipe.db import transaction
from revpipe.story.words import span
from revpipe.users import permissions
from revpipe.web.access import allowed, current_user
from revpipe.web.current import services

blueprint = Blueprint("console_overview", __name__, url_prefix="/console")

CLASSES: Final = {
    "on_its_way": "on their way",
    "parked": "parked for a vendor",
    "person": "waiting for a person",
    "actions": "waiting for their actions",
    "unknown": "with an effect that nobody knows",
    "stuck": "stuck",
}
KEEPER_SECONDS: Final = 30
"""A keeper that is silent for so long is not there."""


@blueprint.get("/")
@allowed("overview.read")
def show() -> str:
    """Whether the window is kept, what is open, and what waits; numbers only, so every role may see it."""
    now = services().clock.now()
    with transaction(services().engine) as tx:
        found = overview.read(tx, now)
    return render_template(
        "console/overview.html",
        found=found,
        classes=CLASSES,
        span=span,
        own=permissions.reach(current_user().role, "approvals.read") == "own",
        silent=found.keeper_s is None or found.keeper_s > KEEPER_SECONDS,
    )
