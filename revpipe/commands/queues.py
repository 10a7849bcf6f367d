"""`revpipe queues`: what waits where, and for which vendor."""

from dataclasses import asdict
from typing import Any

import click

from revpipe import parked, queue_states
from revpipe.circuits import told
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.errors import CredentialsRefused
from revpipe.gate import CREDENTIALS
from revpipe.queue_states import QueueState
from revpipe.story.words import span
from revpipe.terminal import say


@click.command()
@click.option("--json", "json_", is_flag=True, help="For machines.")
def queues(json_: bool) -> None:
    """Rows by queue: due, sent, claimed, later; the age of the oldest that is due; circuits and what waits for them.

    What is due or later is counted up to 10000.
    """
    with ledger() as services:
        with transaction(services.engine) as tx:
            rows = [_row(one) for one in queue_states.read(tx, services.clock.now()) if not one.empty]
            waiting = parked.waiting(tx)
        circuits = told(services.circuits, waiting)
    if json_:
        as_json({"queues": rows, "circuits": circuits})
        return
    say(f"{'queue':<28}{'due':>8}{'sent':>8}{'claimed':>9}{'later':>8}{'oldest s':>10}")
    for row in rows:
        say(
            f"{row['queue']:<28}{_count(row['due']):>8}{row['sent']:>8}{row['claimed']:>9}{_count(row['later']):>8}"
            f"{row['oldest_s'] or 0:>10.1f}"
        )
    if not rows:
        say("nothing waits")
    if circuits is None:
        say("\nthe circuits can't be asked for: Redis does not answer")
    elif circuits:
        say(f"\n{'circuit':<28}{'state':>10}{'since':>14}{'failures':>10}{'waiting':>9}  why")
        for one in circuits:
            since = "" if one["since_s"] is None else span(one["since_s"])
            say(
                f"{one['name']:<28}{one['state'].replace('_', ' '):>10}{since:>14}{one['failures']:>10}"
                f"{one['waiting']:>9}  {_why(one)}"
            )


def _row(one: QueueState) -> dict[str, Any]:
    return {**asdict(one), "priority": one.priority}


def _count(number: int) -> str:
    """A count as far as it was counted."""
    return f"{number}+" if number >= queue_states.MOST else str(number)


def _why(circuit: dict[str, Any]) -> str:
    """The vendor's trouble, what to mend, and when it is asked again."""
    code = (circuit["code"] or "").replace("_", " ")
    vendor = circuit["name"].partition(":")[0]
    mend = f", mend {CREDENTIALS.get(vendor, 'them')}" if circuit["code"] == CredentialsRefused.code else ""
    again = f"; asked again in {span(circuit['again_in_s'])}" if circuit["again_in_s"] else ""
    return f"{code}{mend}{again}"
