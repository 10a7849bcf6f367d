"""What `revpipe capacity` prints: dynos, disk, limits, and which of these is full first."""

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from revpipe.capacity.costs import Costs
from revpipe.capacity.estimate import Dynos, Estimate, Limit
from revpipe.capacity.wanted import Wanted

Row = Sequence[str]
DYNOS: Final = ("dyno", "count", "one carries, signals/s", "busy", "bound by", "database", "Redis")
LIMITS: Final = ("what there is one of", "used", "full at signals/s", "full at signals/day", "load", "most", "")
KEPT: Final = ("records", "a month, GB", "kept for", "in the end, GB")


def show(wanted: Wanted, found: Estimate, costs: Costs, console: Console) -> None:
    """Print all of it."""
    console.print(
        f"{wanted.signals_per_day:,} signals a day: {number(found.per_second)} signals and"
        f" {number(found.actions_per_second)} actions a second in the busiest hour"
    )
    sums = ("together", str(sum(one.count for one in found.dynos)), "", "", "")
    ends = (f"{found.database_connections} connections", f"{found.redis_connections} connections")
    console.print(_table(DYNOS, [*dyno_rows(found.dynos), (*sums, *ends)]))
    console.print(_table(LIMITS, limit_rows(found.limits)))
    console.print(_table(KEPT, kept_rows(found)))
    if found.wal_gb_per_day is not None:
        console.print(f"The database writes {number(found.wal_gb_per_day)} GB of WAL a day.")
    for line in (*verdict(found), *source(costs)):
        console.print(line)


def dyno_rows(dynos: Sequence[Dynos]) -> list[Row]:
    """One row a kind."""
    return [
        (
            one.kind,
            f"{one.count:,}",
            "" if one.carries is None else number(one.carries),
            f"{one.busy:.0%}",
            one.bound_by,
            f"{one.database:,}",
            f"{one.redis:,}",
        )
        for one in dynos
    ]


def limit_rows(limits: Sequence[Limit]) -> list[Row]:
    """One row a limit, the first bottleneck first."""
    return [
        (
            one.name,
            f"{one.used:.0%}",
            number(one.per_second),
            number(one.per_day),
            number(one.load),
            number(one.most),
            one.unit,
        )
        for one in limits
    ]


def kept_rows(found: Estimate) -> list[Row]:
    """One row a kind of record, and the sum."""
    rows: list[Row] = [
        (
            one.kind.replace("_", " "),
            number(one.month_gb),
            "ever" if one.days is None else f"{one.days} days",
            "grows" if one.kept_gb is None else number(one.kept_gb),
        )
        for one in found.kept
    ]
    kept = [one.kept_gb for one in found.kept]
    end = "grows" if None in kept else number(sum(one or 0.0 for one in kept))
    return [*rows, ("together", number(sum(one.month_gb for one in found.kept)), "", end)]


def verdict(found: Estimate) -> list[str]:
    """What is full first, and what that means for this volume."""
    first = found.first
    if first.per_second is None or first.per_day is None:
        return ["Nothing of it is used at all."]
    lines = [
        f"First bottleneck: {first.name}, full at {number(first.per_second)} signals a second in the busiest hour,"
        f" {number(first.per_day)} a day."
    ]
    over = [one.name for one in found.limits if one.used > 1]
    if over:
        lines.append(
            f"Too much for: {'; '.join(over)}. What is too much waits in the ledger and nothing is lost, but more dynos"
            " won't help; docs/scale.md says what does."
        )
    return lines


def source(costs: Costs) -> list[str]:
    """Where the figures come from."""
    about = costs.measured
    facts = f"{about.get('plan', 'a')} run of {about.get('at', 'an unknown time')}, {about.get('processors', '?')}"
    return [
        f"Measured by {facts} processors; a dyno's processor is taken to be as fast as one of these.",
        *(f"Assumed: {one}." for one in costs.assumed),
    ]


def number(value: float | None) -> str:
    """As exact as it deserves; nothing for what has no value."""
    if value is None:
        return "never"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(heads: Row, rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    left: Any = ("dyno", "bound by", "what there is one of", "records", "")
    for head in heads:
        table.add_column(head, justify="left" if head in left else "right")
    for row in rows:
        table.add_row(*row)
    return table
