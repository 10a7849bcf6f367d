"""`revpipe actions`: what nobody can tell, and a person's word on it."""

import uuid

import click

from revpipe import audit, unknowns
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.terminal import say


@click.group()
def actions() -> None:
    """Actions of which nobody can tell whether they took effect."""


@actions.command()
@click.option("--json", "json_", is_flag=True, help="For machines.")
def unknown(json_: bool) -> None:
    """List them, the oldest in front. Look at the vendor, then say what you saw with `revpipe actions settle`."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = unknowns.listing(tx)
    if json_:
        as_json(rows)
        return
    for row in rows:
        title = row["params"].get("subject") or row["params"].get("title") or ""
        say(f"{row['action_id']}  {row['type']} at {row['adapter']}  deal {row['deal_id'] or '-'}  {title}")
    if not rows:
        say("no action is unknown")


@actions.command()
@click.argument("action_id", type=click.UUID)
@click.option("--happened/--not-happened", required=True, help="What you saw at the vendor.")
@click.option("--actor", default=audit.user_here, help="Who looked; by default the user of this machine.")
def settle(action_id: uuid.UUID, happened: bool, actor: str) -> None:
    """End the doubt about one action: it is done, or it is cancelled and its rule may plan it again."""
    detail = {"action": str(action_id), "happened": happened}
    with ledger() as services:
        with audit.told(services.engine, services.clock.now(), actor, "actions settle", detail) as outcome:
            outcome["state"] = unknowns.settle(services, action_id, happened=happened)
        click.echo(outcome["state"])
