"""Plans for those who look: pages of them, and one whole."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.lists import owners
from revpipe.lists.walks import Mark, Page, Table, Walk

PLANS: Final = Table(
    "plans",
    "plan_id",
    "created_at",
    ("plan_id", "signal_id", "decided_by", "rules_version", "conclusive", "created_at"),
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which plans are meant; what is None is not asked. `owners`: the deal's owner must be one of these CRM ids."""

    since: datetime | None = None
    until: datetime | None = None
    decided_by: str | None = None
    rules_version: str | None = None
    conclusive: bool | None = None
    signal_id: uuid.UUID | None = None
    owners: frozenset[str] | None = None


def page(tx: Connection, wanted: Filter, limit: int, behind: Mark | None = None) -> Page:
    """A page of plans, the one made last in front, without the explanation of each."""
    walk = Walk(PLANS)
    walk.between(wanted.since, wanted.until)
    walk.equal(walk.among, {"signal_id": wanted.signal_id})
    names = ("decided_by", "rules_version", "conclusive")
    walk.equal(walk.fits, {name: getattr(wanted, name) for name in names})
    if wanted.owners is not None:
        walk.fits.append(owners.AMONG)
        walk.values["owners"] = sorted(wanted.owners)
    return walk.page(tx, limit, behind)


def show(tx: Connection, plan_id: uuid.UUID) -> dict[str, Any] | None:
    """One plan with why it was decided so, and its actions by id; None if there is none."""
    found = tx.execute(
        sql(
            "SELECT p.plan_id, p.signal_id, p.decided_by, p.rules_version, p.conclusive, p.created_at, p.why,"
            " ARRAY(SELECT a.action_id FROM actions AS a WHERE a.plan_id = p.plan_id"
            " ORDER BY a.created_at, a.action_id) AS action_ids FROM plans AS p WHERE p.plan_id = :id"
        ),
        {"id": plan_id},
    )
    row = found.mappings().first()
    return dict(row) if row else None
