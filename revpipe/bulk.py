"""Many rows in one statement, whose text and cost to prepare do not depend on how many there are.

The rows travel as one JSON text, which PostgreSQL turns into rows of the table itself; a statement with a place holder
for each value would have to be made anew for each number of rows. Documents and raw bytes travel beside it, as an array
for each column: within the text they would be read through once more than need be, and that is most of such a row.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, LargeBinary
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from revpipe import models
from revpipe.columns import Bodies, Texts
from revpipe.db import sql, to_json


def insert(tx: Connection, table: str, rows: Sequence[Mapping[str, Any]], then: str = "") -> CursorResult[Any] | None:
    """Insert `rows`, all with the same keys, in their order; None if there is none.

    `table` (with or without an alias) and the keys are names of ours; `then` is SQL behind the values (ON CONFLICT,
    RETURNING).
    """
    if not rows:
        return None
    name, columns = table.split(maxsplit=1)[0], tuple(rows[0])
    return tx.execute(sql(_statement(table, name, columns, then)), values(name, columns, rows))


@cache
def _statement(table: str, name: str, columns: tuple[str, ...], then: str) -> str:
    chosen, source = selected(name, columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {source} {then}"  # noqa: S608


def selected(table: str, columns: tuple[str, ...], prefix: str = "") -> tuple[str, str]:
    """SQL for rows that are given with a statement: their columns as the table has them, and where they come from.

    The rows are named `<prefix>given`; what is bound are their `values` with the same `prefix`.
    """
    plain, apart = _sorted(table, columns)
    told = ", ".join(f"{name} {_sql_type(table, name)}" for name in plain)
    arrays = [f"unnest(CAST(:{prefix}{name} AS {element}[]))" for name, element in apart.items()]
    functions = ", ".join([f"json_to_recordset(CAST(:{prefix}rows AS json)) AS ({told})", *arrays])
    chosen = (f"CAST({prefix}given.{name} AS {_sql_type(table, name)}) AS {name}" for name in columns)
    return ", ".join(chosen), f"ROWS FROM ({functions}) AS {prefix}given({', '.join((*plain, *apart))})"


def values(table: str, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]], prefix: str = "") -> dict[str, Any]:
    """What is bound for `rows` of a statement with `selected`."""
    rows = list(rows)
    plain, apart = _sorted(table, columns)
    bound: dict[str, Any] = {f"{prefix}rows": to_json([{name: row[name] for name in plain} for row in rows])}
    for name, element in apart.items():
        found = (row[name] for row in rows)
        bound[f"{prefix}{name}"] = Bodies(found) if element == "bytea" else Texts(map(_document, found))
    return bound


def _document(value: Any) -> str | None:
    return None if value is None else to_json(value)


@cache
def _sorted(table: str, columns: tuple[str, ...]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The columns within the JSON text, and those beside it with the type of their elements."""
    types = {name: _type(table, name) for name in columns}
    apart = {name: "text" for name, found in types.items() if isinstance(found, JSONB)}
    apart |= {name: "bytea" for name, found in types.items() if isinstance(found, LargeBinary)}
    return tuple(name for name in columns if name not in apart), apart


def _sql_type(table: str, name: str) -> str:
    return str(_type(table, name).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


def _type(table: str, name: str) -> TypeEngine[Any]:
    return models.SignalRow.metadata.tables[table].c[name].type
