"""Many rows in one statement, whose text and cost to prepare do not depend on how many there are.

The rows travel as one JSON text, which PostgreSQL turns into rows of the table itself; a statement with a place
holder for each value would have to be made anew for each number of rows.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, TextClause, text

from revpipe.db import to_json


def insert(tx: Connection, table: str, rows: Sequence[Mapping[str, Any]], then: str = "") -> CursorResult[Any] | None:
    """Insert `rows`, all with the same keys, in their order; None if there is none.

    `table` (with or without an alias) and the keys are names of ours; `then` is SQL behind the values (ON CONFLICT,
    RETURNING).
    """
    if not rows:
        return None
    return tx.execute(_statement(table, tuple(rows[0]), then), {"rows": to_json([dict(row) for row in rows])})


@cache
def _statement(table: str, columns: tuple[str, ...], then: str) -> TextClause:
    names = ", ".join(columns)
    # Not the binary kind of JSON: this one is read once, from front to back.
    source = f"json_populate_recordset(CAST(NULL AS {table.split(maxsplit=1)[0]}), CAST(:rows AS json))"
    return text(f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} {then}")  # noqa: S608
