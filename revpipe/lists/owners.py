"""Whose deal a signal is about, as its stored context says: for those who may see their own deals only."""

import uuid
from typing import Final

from sqlalchemy import Connection

from revpipe.db import sql

_OWNER: Final = "c.parts -> 'deal' -> 'value' ->> 'owner_id'"
AMONG: Final = f"(SELECT {_OWNER} FROM contexts AS c WHERE c.signal_id = t.signal_id) = ANY(:owners)"  # noqa: S608
"""SQL: whether the owner of a row `t`, which names its signal, is among some. Asked by the context's key."""


def owner_of(tx: Connection, signal_id: uuid.UUID) -> str | None:
    """The CRM's id of the deal's owner; None if there is no deal, no owner, or no context yet."""
    statement = f"SELECT {_OWNER} FROM contexts AS c WHERE c.signal_id = :id"  # noqa: S608
    found: str | None = tx.execute(sql(statement), {"id": signal_id}).scalar()
    return found
