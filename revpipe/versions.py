"""Rows that a later release wrote: they wait for one of its workers, and cost no attempt meanwhile.

While a deploy runs, workers of both releases take from the same queues. What this one can't read is no dead letter.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.columns import Uuids
from revpipe.db import sql
from revpipe.errors import NewerVersion
from revpipe.schemas.versions import VERSIONS

_BEHIND: Final = " UNION ALL ".join(
    f"SELECT signal_id, '{kind}' AS kind, schema_version FROM {kind}s"  # noqa: S608
    f" WHERE signal_id = ANY(:ids) AND schema_version > :{kind}"
    for kind in ("context", "plan", "action")
)


def newer_signals(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[uuid.UUID, NewerVersion]:
    """Of these signals' rows, those that this release can't read, or whose context, plan or actions it can't."""
    found = _newer(rows, "signal", "signal_id")
    if rows:
        behind = tx.execute(sql(_BEHIND), {"ids": Uuids(row["signal_id"] for row in rows), **VERSIONS})
        for row in behind:
            found.setdefault(row.signal_id, NewerVersion(row.kind, row.schema_version, VERSIONS[row.kind]))
    return found


def newer_actions(rows: Sequence[Mapping[str, Any]]) -> dict[uuid.UUID, NewerVersion]:
    """Of these actions' rows, those that this release can't read."""
    return _newer(rows, "action", "action_id")


def _newer(rows: Sequence[Mapping[str, Any]], kind: str, key: str) -> dict[uuid.UUID, NewerVersion]:
    newest = VERSIONS[kind]
    return {
        row[key]: NewerVersion(kind, row["schema_version"], newest) for row in rows if row["schema_version"] > newest
    }
