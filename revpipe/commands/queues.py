"""`revpipe queues`: what waits where."""

import click

from revpipe import queries
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.terminal import say


@click.command()
@click.option("--json", "json_", is_flag=True, help="For machines.")
def queues(json_: bool) -> None:
    """Rows by queue: due, sent, claimed, later; and the age of the oldest that is due."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = queries.queue_states(tx, services.clock.now())
    if json_:
        as_json(rows)
        return
    say(f"{'queue':<28}{'due':>8}{'sent':>8}{'claimed':>9}{'later':>8}{'oldest s':>10}")
    for row in rows:
        say(
            f"{row['queue']:<28}{row['due']:>8}{row['sent']:>8}{row['claimed']:>9}{row['later']:>8}"
            f"{row['oldest_s'] or 0:>10.1f}"
        )
    if not rows:
        say("nothing waits")
