"""`revpipe balance`: whether every accepted signal has ended or is in flight within its time."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import click

from revpipe import balance as balances
from revpipe import imbalance, in_flight, keeper, leases, tallies
from revpipe.balance import Balance
from revpipe.commands.context import as_json, ledger
from revpipe.models.signal import DISPOSITIONS
from revpipe.services import Services
from revpipe.story.words import clock, span
from revpipe.terminal import say

KEEPER_SECONDS = 60
Sums = dict[tuple[datetime, str], int]


@click.command()
@click.option("--hours", type=click.IntRange(1, 24 * 366), default=24, show_default=True, help="How far back to list.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def balance(hours: int, json_: bool) -> None:
    """Accepted signals against their dispositions and those in flight, from the ledger as it stands now.

    Exit code 1 if it does not add up, or if a signal is stuck: what and why is named.
    """
    with ledger() as services:
        found, age, sums = _look(services, hours)
    if json_:
        as_json({**found.as_dict(), "holds": found.holds, "keeper_age_s": age, "hours": list(_rows(found, sums))})
    else:
        _table(found, sums)
        _verdict(found, age)
    if not found.holds:
        sys.exit(1)


def _look(services: Services, hours: int) -> tuple[Balance, float | None, Sums]:
    """The balance now, the age in seconds of the keeper's last round (None without any), and the hourly sums."""
    now = services.clock.now()
    with balances.snapshot(services.engine) as tx:
        stored = balances.last(tx) or {}
        duty = leases.state(tx, keeper.DUTY)
        sums = tallies.by_hour(tx, tallies.hour_of(now - timedelta(hours=hours - 1)))
    since = stored.get("keeper_since")
    age = (now - duty["round_at"]).total_seconds() if duty else None
    # Without a keeper nothing is fed, and no worker is to blame: what to do then is told by its age.
    known = datetime.fromisoformat(since) if since and age is not None and age <= KEEPER_SECONDS else None
    return balances.compute(services.engine, now, known), age, sums


def _rows(found: Balance, sums: Sums) -> Iterator[dict[str, Any]]:
    off = {one.hour: one.difference for one in found.off}
    for hour in sorted({hour for hour, _ in sums}):
        yield {
            "hour": hour,
            **{name: sums.get((hour, name), 0) for name in (tallies.ACCEPTED, *DISPOSITIONS)},
            "open": found.open_hours.get(hour, 0),
            "difference": off.get(hour, 0),
        }


def _table(found: Balance, sums: Sums) -> None:
    names = (tallies.ACCEPTED, *DISPOSITIONS, "open", "difference")
    heads = [name.replace("_", " ") for name in names]
    say(f"{'hour (UTC)':<18}" + "".join(f"{head:>{len(head) + 2}}" for head in heads))
    whole = {tallies.ACCEPTED: found.accepted, **found.dispositions, "open": found.open, "difference": found.difference}
    rows = [(f"{row['hour']:%Y-%m-%d %H:%M}", row) for row in _rows(found, sums)]
    for label, row in [*rows, ("since the start", whole)]:
        say(
            f"{label:<18}"
            + "".join(f"{row.get(name, 0):>{len(head) + 2}}" for name, head in zip(names, heads, strict=True))
        )
    classes = [f"{count} {name.replace('_', ' ')}" for name, count in found.classes.items() if count]
    say(f"open at {clock(found.at)}: {', '.join(classes) or 'nothing'}; open dead letters: {found.dead_letters}")


def _verdict(found: Balance, age: float | None) -> None:
    if age is None or age > KEEPER_SECONDS:
        word = "has never made a round" if age is None else f"made its last round {span(age)} ago"
        say(f"The keeper {word}, so nothing is fed or swept; start it: revpipe keeper")
    if found.holds:
        say("It adds up: every accepted signal has ended or is in flight within its time.")
        return
    for off in found.off:
        what = "missing" if off.difference > 0 else "more than were counted"
        say(f"Signals received in the hour of {off.hour:%Y-%m-%d %H:%M} UTC: {abs(off.difference)} {what}")
        for kind, ids in off.blamed.items():
            say(f"  {kind}: {imbalance.BLAMED[kind]}")
            _ids(ids, len(ids))
        if not off.blamed:
            say("  the trail of that hour shows none that is to blame")
    for stuck in found.stuck:
        queues = f" ({', '.join(stuck.queues)})" if stuck.queues else ""
        say(f"Stuck, {stuck.cause.replace('_', ' ')}{queues}: {in_flight.REMEDIES[stuck.cause]}")
        _ids(stuck.signal_ids, stuck.count)


def _ids(ids: tuple[Any, ...], count: int) -> None:
    for one in ids:
        say(f"  {one}")
    if count > len(ids):
        say(f"  and {count - len(ids)} more")
