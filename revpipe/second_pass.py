"""The second pass of stage decide: what rules left open, put to a language model or, failing that, to the fallback.

It has queues of its own, so that a slow model holds up no other decision. While the model thinks no transaction is
open and nothing is locked; the plan is then made as the first pass makes it, on facts and history read anew.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from revpipe import cases, contexts, decide, stage, work
from revpipe.cases import Case
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.llm import asking, question
from revpipe.llm.desk import Desk
from revpipe.llm.verdict import Verdict, fallback
from revpipe.services import Services
from revpipe.work import SIGNALS, Chunk, Claim

CLOCKS_DIFFER: Final = timedelta(hours=1)
NO_TURN: Final = timedelta(seconds=1)
"""How long a signal waits at the least whose worker has enough questions open, or whose turn our rate puts off."""


def run(chunk: Chunk, services: Services) -> None:
    """Decide each signal of the chunk. Those with something due go on in chains of their own."""
    stage.run(decide.STAGE, chunk, services, _decide, contexts.stored)


def _decide(held: Claim, services: Services) -> stage.HandOn:
    desk = services.desk
    if desk is None:
        return decide.settle(held, services, {})
    with desk.turn() as mine:
        if not mine:
            _put_back(held, services, NO_TURN)
            return stage.HandOn()
        found, _ = cases.of_claim(held)
        verdicts, wait = _verdicts(found, desk, services)
    crash_point("llm.answered", held.rows)
    if wait is None:
        return decide.settle(held, services, verdicts)
    waiting = {case.signal.signal_id for case in found} - set(verdicts)
    _put_back(held.only([row for row in held.rows if row["signal_id"] in waiting]), services, wait)
    if len(waiting) == len(held.rows):
        return stage.HandOn()
    return decide.settle(held.only([row for row in held.rows if row["signal_id"] not in waiting]), services, verdicts)


def _verdicts(
    asked: Sequence[Case], desk: Desk, services: Services
) -> tuple[dict[uuid.UUID, Verdict], timedelta | None]:
    """The verdicts in turn, until our rate puts the next off, and then for how long."""
    found: dict[uuid.UUID, Verdict] = {}
    for case in asked:
        try:
            found[case.signal.signal_id] = _verdict(case, desk, services)
        except asking.NoTurn as full:
            return found, max(NO_TURN, timedelta(seconds=full.wait))
    return found, None


def _verdict(case: Case, desk: Desk, services: Services) -> Verdict:
    since = _since(case, services)
    if since is not None and services.clock.now() - since > desk.policy.wait_at_most:
        return fallback("waited_too_long")
    asked = question.build(case.signal, case.parts, desk.policy, desk.template)
    return asking.verdict(asked, case.signal.signal_id, desk, services.engine, services.clock)


def _since(case: Case, services: Services) -> datetime | None:
    """When the first pass left this signal open."""
    with transaction(services.engine) as tx:
        found: datetime | None = tx.execute(
            sql("SELECT max(at) FROM trail WHERE signal_id = :id AND at >= :received AND what = 'left_open'"),
            # Nothing is told of a signal before it came, so earlier months of the trail are not looked into.
            {"id": case.signal.signal_id, "received": case.signal.received_at - CLOCKS_DIFFER},
        ).scalar()
    return found


def _put_back(held: Claim, services: Services, wait: timedelta) -> None:
    """Due again in a moment; that it was taken counts as no attempt."""
    rows: Mapping[uuid.UUID, Mapping[str, Any]] = {row["signal_id"]: row for row in held.rows}
    with transaction(services.engine) as tx:
        now = services.clock.now()
        for signal_id in work.still_held(tx, held):
            spared = {"attempts": max(0, rows[signal_id]["attempts"] - 1)}
            work.postpone(tx, SIGNALS, [signal_id], now + wait, spared)
