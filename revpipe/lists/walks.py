"""Pages of what the ledger holds, the newest in front: each looks at a bounded number of rows, whatever is asked."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.db import sql

WALK: Final = 2_000
"""Rows that one page looks at, at the most: a few milliseconds, be the ledger small or large."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page ended: the next one begins behind it."""

    at: datetime
    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, and where to go on; `next` None says that there are no more.

    A page may hold fewer rows than were asked for, even none, although there are more: what is wanted was rare among
    the rows that it looked at.
    """

    items: list[dict[str, Any]]
    next: Mark | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """What a list is made of: rows by `key`, in the order of `time`, each shown with `columns`."""

    name: str
    key: str
    time: str
    columns: tuple[str, ...]


@dataclass(slots=True)
class Walk:
    """Which rows of a table are wanted, as SQL over its alias `t`.

    `reach` is what an index by the time can tell, `among` a condition that an index of its own answers with few rows,
    and `fits` is asked of every row that is looked at.
    """

    table: Table
    reach: list[str] = field(default_factory=list)
    among: list[str] = field(default_factory=list)
    fits: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def between(self, since: datetime | None, until: datetime | None) -> None:
        """Only from `since` on and before `until`."""
        for name, value, sign in (("since", since, ">="), ("until", until, "<")):
            if value is not None:
                self.reach.append(f"t.{self.table.time} {sign} :{name}")
                self.values[name] = value

    def equal(self, kind: list[str], asked: Mapping[str, Any]) -> None:
        """Add to `among` or `fits` that columns have these values; None is not asked."""
        for name, value in asked.items():
            if value is not None:
                kind.append(f"{name} = :{name}")
                self.values[name] = value

    def page(self, tx: Connection, limit: int, behind: Mark | None = None) -> Page:
        """The next `limit` rows behind a mark."""
        looked_at = self._walk(tx, limit, behind)
        wanted: list[uuid.UUID] = []
        end: Mark | None = None
        for row in looked_at:
            if len(wanted) == limit:
                return Page(self._shown(tx, wanted), end)
            end = Mark(row.at, row.id)
            if row.fits:
                wanted.append(row.id)
        there_are_more = len(looked_at) == self._most(limit)
        return Page(self._shown(tx, wanted), end if there_are_more else None)

    def _most(self, limit: int) -> int:
        return WALK if self.fits else limit + 1

    def _walk(self, tx: Connection, limit: int, behind: Mark | None) -> list[Any]:
        """Narrow rows in order, each with whether it is wanted."""
        table, reach, values = self.table, list(self.reach), dict(self.values)
        if behind is not None:
            reach.append(f"(t.{table.time}, t.{table.key}) < (:mark_at, :mark_id)")
            values |= {"mark_at": behind.at, "mark_id": behind.id}
        # The fence keeps the planner from walking along the time where few rows are asked for by an index of theirs.
        among = " AND ".join(self.among)
        rows = f"(SELECT * FROM {table.name} WHERE {among} OFFSET 0)" if among else table.name  # noqa: S608
        fits = " AND ".join(self.fits) or "true"
        where = f" WHERE {' AND '.join(reach)}" if reach else ""
        statement = (
            f"SELECT t.{table.key} AS id, t.{table.time} AS at, ({fits}) AS fits FROM {rows} AS t{where}"  # noqa: S608
            f" ORDER BY t.{table.time} DESC, t.{table.key} DESC LIMIT :most"
        )
        return list(tx.execute(sql(statement), {**values, "most": self._most(limit)}))

    def _shown(self, tx: Connection, ids: list[uuid.UUID]) -> list[dict[str, Any]]:
        if not ids:
            return []
        table = self.table
        statement = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {table.key} = ANY(:ids)"  # noqa: S608
        found = {row[table.key]: dict(row) for row in tx.execute(sql(statement), {"ids": ids}).mappings()}
        return [found[one] for one in ids if one in found]
