"""Records of the ledger as they are sealed: by their keys, and all that are there."""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.seals import canonical
from revpipe.seals.kinds import BEGAN, KINDS, MONTH, PLAN_FIELDS, Kind, id_of, plan_key, record_of

PAGE: Final = 1000
_FORMER: Final = (
    "SELECT record FROM superseded WHERE kind = 'plan' AND signal_id = ANY(:signals) ORDER BY superseded_id"
)
_MONTHS: Final = (
    "SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid WHERE inhparent IN"
    " (CAST('trail' AS regclass), CAST('deliveries' AS regclass))"
)
Name = tuple[str, str]
"""Kind and key of a record."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record that is there. `at` None: it has no time of its own but that of its listing."""

    record: Mapping[str, Any]
    at: datetime | None
    parent: str | None


def read(tx: Connection, names: Iterable[Name]) -> dict[Name, Found]:
    """The records of these names, as far as they are there: a statement or two for each kind."""
    wanted: dict[str, set[str]] = {}
    for kind, key in names:
        if _readable_key(kind, key):
            wanted.setdefault(kind, set()).add(key)
    found: dict[Name, Found] = {}
    for kind, keys in sorted(wanted.items()):
        if kind in KINDS:
            found |= _rows(tx, kind, keys)
        elif kind == MONTH:
            there = keys & set(tx.execute(sql(_MONTHS)).scalars())
            found |= {(kind, key): Found({}, None, None) for key in there}
        elif kind == BEGAN:
            found |= {(kind, key): Found({}, canonical.at_micros(int(key)), None) for key in keys}
    return found


def everything(tx: Connection, kind: str) -> Iterator[tuple[str, Found]]:
    """Every record of a kind that is a row, page by page, with its key; former plans among them."""
    about = KINDS[kind]
    names = ", ".join(about.columns)
    places = ", ".join(f":{name}" for name in about.order)
    first = sql(f"{about.rows} ORDER BY {names} LIMIT {PAGE}")
    later = sql(f"{about.rows} AND ({names}) > ({places}) ORDER BY {names} LIMIT {PAGE}")
    page = [dict(row) for row in tx.execute(first).mappings()]
    while page:
        for row in page:
            yield about.key(row), _found(kind, row)
        behind = {name: page[-1][name] for name in about.order}
        page = [dict(row) for row in tx.execute(later, behind).mappings()]
    if kind == "plan":
        yield from _all_former(tx)


def alive(tx: Connection, parents: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these (kind, parent) pairs whose signal or action is still there."""
    wanted: dict[str, set[str]] = {}
    for kind, parent in parents:
        table = KINDS[kind].parents
        if table:
            wanted.setdefault(table, set()).add(parent)
    there: dict[str, set[str]] = {}
    for table, ids in wanted.items():
        key = f"{table.removesuffix('s')}_id"
        found = tx.execute(
            sql(f"SELECT {key} FROM {table} WHERE {key} = ANY(:ids)"),  # noqa: S608
            {"ids": [uuid.UUID(one) for one in sorted(ids)]},
        )
        there[table] = {str(one) for one in found.scalars()}
    return {(kind, parent) for kind, parent in parents if parent in there.get(KINDS[kind].parents or "", ())}


def _readable_key(kind: str, key: str) -> bool:
    """Whether a key can be one of its kind: a list that was altered may hold anything."""
    try:
        return kind == MONTH or (int(key) >= 0 if kind == BEGAN else bool(id_of(key)))
    except ValueError:
        return False


def _rows(tx: Connection, kind: str, keys: set[str]) -> dict[Name, Found]:
    about = KINDS[kind]
    ids = sorted({id_of(key) for key in keys})
    wanted = sql(f"{about.rows} AND {about.columns[0]} = ANY(:ids)")
    rows = [dict(row) for row in tx.execute(wanted, {"ids": ids}).mappings()]
    found = {(kind, about.key(row)): _found(kind, row) for row in rows}
    if kind == "plan":
        replaced = {id_of(key) for key in keys if (kind, key) not in found}
        found = _former(tx, {row["signal_id"] for row in rows if row["plan_id"] in replaced}) | found
    return {name: one for name, one in found.items() if name[1] in keys}


def _found(kind: str, row: Mapping[str, Any]) -> Found:
    about: Kind = KINDS[kind]
    return Found(record_of(kind, row), about.at(row), str(row[about.parent]) if about.parent else None)


def _former(tx: Connection, signals: set[uuid.UUID]) -> dict[Name, Found]:
    """Plans that a replay put something newer in place of."""
    if not signals:
        return {}
    rows = tx.execute(sql(_FORMER), {"signals": sorted(signals)}).scalars()
    return {("plan", plan_key(record)): _found("plan", record) for record in _readable(rows.all())}


def _all_former(tx: Connection) -> Iterator[tuple[str, Found]]:
    behind = uuid.UUID(int=0)
    page = sql(
        "SELECT superseded_id, record FROM superseded WHERE kind = 'plan' AND superseded_id > :behind"  # noqa: S608
        f" ORDER BY superseded_id LIMIT {PAGE}"
    )
    rows = tx.execute(page, {"behind": behind}).all()
    while rows:
        for record in _readable([row.record for row in rows]):
            yield plan_key(record), _found("plan", record)
        rows = tx.execute(page, {"behind": rows[-1].superseded_id}).all()


def _readable(records: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Former plans as their rows were; one that was altered beyond reading counts as not there."""
    for record in records:
        try:
            yield {name: record[name] for name in PLAN_FIELDS} | {"created_at": canonical.moment(record["created_at"])}
        except (KeyError, TypeError, ValueError):
            continue
