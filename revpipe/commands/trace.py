"""`revpipe trace`: the whole story of a signal."""

import click

from revpipe import queries, trace_view
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--json", "json_", is_flag=True, help="For machines: all that the ledger holds of it.")
def trace(id_: str, json_: bool) -> None:
    """Why did, or didn't, something happen? ID is that of a signal, correlation, delivery, action, dead letter or
    deal."""
    with ledger() as services, transaction(services.engine) as tx:
        stories = [queries.story(tx, found) for found in queries.signals_named(tx, id_)]
    if not stories:
        raise click.ClickException(f"the ledger knows no signal, correlation, delivery, action or deal {id_!r}")
    if json_:
        as_json(stories)
        return
    click.echo("\n\n".join("\n".join(trace_view.lines(story)) for story in stories))
