"""One side of a race for approvals, in a process of its own."""

import uuid
from collections.abc import Sequence
from typing import Any

from config.settings import Settings
from revpipe import approvals
from revpipe.actors import Actor
from revpipe.approvals import AlreadyDecided
from revpipe.bootstrap import for_keeper

AT_ONCE = 3
"""How many the expiry takes in one transaction: few, so that the others are in between."""
LOT = 10
"""After so many all sides wait for each other, so that on a slow machine none of them runs away."""


def run(side: str, settings: dict[str, Any], ids: Sequence[uuid.UUID], start: Any, answers: Any) -> None:
    """Approve, reject or expire every one of `ids` as soon as all sides are there; tell how many were won and lost."""
    services = for_keeper(Settings(**settings))
    with services.engine.connect():
        pass
    won: list[uuid.UUID] = []
    told: list[str] = []
    for at in range(0, len(ids), LOT):
        start.wait(timeout=60)
        if side == "expire":
            for _ in range(LOT // AT_ONCE):
                approvals.expire_due(services, AT_ONCE)
        for action_id in ids[at : at + LOT] if side != "expire" else ():
            try:
                if side == "approve":
                    approvals.approve(services, action_id, Actor("kim", "cli"), 1)
                else:
                    approvals.reject(services, action_id, Actor("sam", "cli"), "no")
                won.append(action_id)
            except AlreadyDecided as refusal:
                told.append(str(refusal))
    while side == "expire" and approvals.expire_due(services, AT_ONCE):
        continue
    services.engine.dispose()
    answers.put((side, won, told))
