"""What has run out about sign-ins is deleted as others sign in: a few rows each time, by their index."""

from datetime import datetime
from typing import Final

from sqlalchemy import Engine

from revpipe.db import sql, transaction
from revpipe.users.throttle import WINDOW

BATCH: Final = 100
_OVER: Final = (
    ("sessions", "session_id", "expires_at"),
    ("sign_in_links", "link_id", "expires_at"),
    ("sign_in_tries", "key", "since"),
)


def tidy(engine: Engine, now: datetime) -> None:
    """Delete at most BATCH rows of each kind that have run out."""
    for table, key, column in _OVER:
        with transaction(engine, durable=False) as tx:
            tx.execute(
                sql(
                    f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {column} < :limit"  # noqa: S608
                    f" ORDER BY {column} LIMIT {BATCH} FOR UPDATE SKIP LOCKED)"
                ),
                {"limit": now - WINDOW},
            )
