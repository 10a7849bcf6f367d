"""Noting that something about approvals changed, so that whoever shows them brings what is shown up to date."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from revpipe.db import sql


def touch(tx: Connection, action_ids: Iterable[uuid.UUID], now: datetime) -> None:
    """Move `changed_at` and `revision` of the approvals of these actions, in the transaction of the change itself."""
    ids = sorted(set(action_ids))
    if ids:
        tx.execute(
            sql(
                "WITH mine AS (SELECT approval_id FROM approvals WHERE action_id = ANY(:ids)"
                " ORDER BY action_id FOR UPDATE)"
                " UPDATE approvals AS p SET revision = p.revision + 1, changed_at = :now FROM mine"
                " WHERE p.approval_id = mine.approval_id"
            ),
            {"ids": ids, "now": now},
        )
