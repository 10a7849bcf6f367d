"""`revpipe signals`: what came in and how it ended."""

import click

from revpipe import queries
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.story.words import clock
from revpipe.terminal import say


@click.command()
@click.option("--limit", type=click.IntRange(1), default=30, show_default=True)
@click.option("--deal", help="Only signals of this deal.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def signals(limit: int, deal: str | None, json_: bool) -> None:
    """The newest signals and how each ended."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = queries.latest_signals(tx, limit, deal)
    if json_:
        as_json(rows)
        return
    for row in rows:
        say(
            f"{row['signal_id']}  {clock(row['received_at'])}  {row['event']:<28}"
            f" {'deal ' + row['deal_id'] if row['deal_id'] else '-':<20} {row['disposition'] or row['state']}"
            f"{' (' + row['reason'] + ')' if row['reason'] else ''}"
        )
    if not rows:
        say(f"no signals for deal {deal}" if deal else "no signals yet")
