"""Every statement of the product, explained just before it runs, in its own transaction and with its own values."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event

ROOT = Path(__file__).parents[2]
PARTITIONED = ("trail", "deliveries")
LARGE = frozenset(
    {
        *("signals", "contexts", "plans", "actions", "approvals", "superseded", "dead_letters", "cached_parts"),
        *("counters", "operator_audit", "shadow_outcomes", "approval_requests", "one_time_tokens", *PARTITIONED),
        *("sessions", "sign_in_links", "sign_in_tries"),
    }
)
"""Tables that grow with the past. The others have a row for each duty, release or name, or are emptied all day."""
PAGES = 100
"""From so many pages on a table is large to the planner as well."""
BLOCKING = ("Sort", "Aggregate", "Hash", "WindowAgg", "SetOp", "Materialize")
"""Nodes that read all that is below them before they give their first row."""
READS = ("SELECT", "WITH", "UPDATE", "DELETE", "INSERT")


@dataclass
class Explainer:
    """Collects the statements that the product ran, and what is wrong with their plans.

    A plan is at fault if it reads a large table, or a whole index of one that is not confined to what is open, or a
    month that is long over. Small tables are judged by the plan that is left when sequential scans are ruled out.
    """

    past: str
    """The suffix of the partitions of a month long over, as `_2025_01`."""
    by_id_only: Sequence[str] = ()
    """Parts of statements that may look into every month, because nothing tells the time."""
    filtered: Sequence[str] = ()
    """Parts of statements of lists that people filter, and that may walk over what is not wanted."""
    seen: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    _known: set[tuple[str, str]] = field(default_factory=set)
    _whole: dict[str, str] = field(default_factory=dict)
    _pages: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Explain what any engine of this process runs within the block."""
        event.listen(Engine, "before_cursor_execute", self._before)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", self._before)

    def _before(self, conn: Connection, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        where = _caller()
        if where is None or not statement.lstrip("( ").startswith(READS):
            return
        one = values[0] if many else values
        key = (statement, str(_kinds(one)))
        if key in self._known:
            return
        self._known.add(key)
        self.seen.add(where)
        self.judge(conn.connection.driver_connection, statement, one, where)

    def judge(self, raw: Any, statement: str, values: Any, where: str) -> None:
        """Explain a statement on a psycopg connection and note what is wrong."""
        with raw.cursor() as cursor:
            if not self._whole:
                self._learn(cursor)
            natural = _plan(cursor, statement, values)
            cursor.execute("SET LOCAL enable_seqscan = off")
            forced = _plan(cursor, statement, values)
            cursor.execute("SET LOCAL enable_seqscan = on")
        wrong = {*self._natural(natural), *self._forced(forced, statement), *self._months(natural, statement)}
        self.faults += [f"{where}: {one}\n    {' '.join(statement.split())[:400]}" for one in sorted(wrong)]

    def _learn(self, cursor: Any) -> None:
        """Indexes that hold every row of a large table, with that table, and how many pages each table has."""
        cursor.execute(
            "SELECT CAST(CAST(indexrelid AS regclass) AS text), CAST(CAST(indrelid AS regclass) AS text)"
            " FROM pg_index WHERE indpred IS NULL"
        )
        self._whole = {index: table for index, table in cursor.fetchall() if _table(table) in LARGE}
        cursor.execute("SELECT relname, relpages FROM pg_class WHERE relkind = 'r'")
        self._pages = dict(cursor.fetchall())

    def _natural(self, plan: Mapping[str, Any]) -> Iterator[str]:
        for node, _ in _nodes(plan):
            name = node.get("Relation Name", "")
            if node["Node Type"] == "Seq Scan" and _table(name) in LARGE and self._pages.get(name, 0) > PAGES:
                yield f"reads all of {name}"

    def _forced(self, plan: Mapping[str, Any], statement: str) -> Iterator[str]:
        walks = any(part in statement for part in self.filtered)
        for node, bounded in _nodes(plan):
            name = node.get("Relation Name", "")
            if node["Node Type"] == "Seq Scan" and _table(name) in LARGE:
                yield f"has no index for {name}"
            index = node.get("Index Name", "")
            # A limit ends a walk along an index only if what is walked over is what is wanted.
            short = bounded and (walks or "Filter" not in node)
            if index in self._whole and "Index Cond" not in node and not short:
                yield f"reads all of the index {index}"

    def _months(self, plan: Mapping[str, Any], statement: str) -> Iterator[str]:
        if any(part in statement for part in self.by_id_only):
            return
        for node, _ in _nodes(plan):
            name = node.get("Relation Name", "")
            if "Scan" in node["Node Type"] and name.endswith(self.past):
                yield f"looks into {name}, a month that it need not"


def _plan(cursor: Any, statement: str, values: Any) -> Mapping[str, Any]:
    cursor.execute("EXPLAIN (FORMAT JSON) " + statement, values)
    told = cursor.fetchone()[0]
    plan: Mapping[str, Any] = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return plan


def _nodes(plan: Mapping[str, Any], bounded: bool = False) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Each node, and whether a limit above it ends its reading early."""
    yield plan, bounded
    below = plan["Node Type"] == "Limit" or (bounded and plan["Node Type"] not in BLOCKING)
    for child in plan.get("Plans", ()):
        yield from _nodes(child, below)


def _table(name: str) -> str:
    return next((parent for parent in PARTITIONED if name.startswith(parent + "_")), name)


def _kinds(values: Any) -> Any:
    """Which values there are at all: a filter that is not asked for makes another plan."""
    if isinstance(values, Mapping):
        return {name: value is None for name, value in values.items()}
    return len(values) if values else 0


def _caller() -> str | None:
    """File and line of the product that runs the statement; None if it is a test."""
    frame = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and ".venv" not in path.parts and path != Path(__file__):
            near = path.relative_to(ROOT)
            return None if near.parts[0] == "tests" else f"{near}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return None
