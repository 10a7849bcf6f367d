"""Actions for those who look: pages of them, and one whole."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.lists import owners
from revpipe.lists.walks import Mark, Page, Table, Walk
from revpipe.models.action import OPEN

ACTIONS: Final = Table(
    "actions",
    "action_id",
    "created_at",
    (
        *("action_id", "signal_id", "plan_id", "correlation_id", "rule_id", "subject", "deal_id", "account_id"),
        *("contact_id", "type", "adapter", "priority", "state", "reason", "suppressed_by", "created_at", "done_at"),
    ),
)
AMONG: Final = ("subject", "signal_id", "plan_id", "correlation_id")
FITS: Final = ("type", "state", "adapter", "rule_id")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which actions are meant; what is None is not asked. `owners`: the deal's owner must be one of these CRM ids."""

    since: datetime | None = None
    until: datetime | None = None
    type: str | None = None
    state: str | None = None
    adapter: str | None = None
    rule_id: str | None = None
    subject: str | None = None
    signal_id: uuid.UUID | None = None
    plan_id: uuid.UUID | None = None
    correlation_id: uuid.UUID | None = None
    owners: frozenset[str] | None = None


def page(tx: Connection, wanted: Filter, limit: int, behind: Mark | None = None) -> Page:
    """A page of actions, the one planned last in front, without their params."""
    walk = Walk(ACTIONS)
    walk.between(wanted.since, wanted.until)
    walk.equal(walk.among, {name: getattr(wanted, name) for name in AMONG})
    walk.equal(walk.fits, {name: getattr(wanted, name) for name in FITS})
    if wanted.state in OPEN and not walk.among:
        # What is open stands in an index of its own, so that an old unknown one is found at once.
        walk.among.append(f"state IN {OPEN!r} AND state = :state")
    if wanted.owners is not None:
        walk.fits.append(owners.AMONG)
        walk.values["owners"] = sorted(wanted.owners)
    return walk.page(tx, limit, behind)


def show(tx: Connection, action_id: uuid.UUID) -> dict[str, Any] | None:
    """One action with what it is to do and the effect that it had; None if there is none."""
    found = tx.execute(
        sql(
            f"SELECT {', '.join(ACTIONS.columns)}, params, approval, attempts, first_tried_at, tried_at,"  # noqa: S608
            " effect, maybe_done, replayed_at FROM actions WHERE action_id = :id"
        ),
        {"id": action_id},
    )
    row = found.mappings().first()
    return dict(row) if row else None
