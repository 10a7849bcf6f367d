"""`revpipe audit`: what people did to the pipeline by hand."""

import uuid

import click

from revpipe import audit as auditing
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.story.words import clip, clock, value
from revpipe.terminal import say


@click.command()
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", type=click.UUID, help="Only what was done before this row: the next page.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def audit(limit: int, before: uuid.UUID | None, json_: bool) -> None:
    """Replays, discarded letters, approvals and settled doubts: who, when, and what came of it; newest in front."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = auditing.listing(tx, limit, before)
    if json_:
        as_json(rows)
        return
    for row in rows:
        detail = " · ".join(f"{name} {value(given)}" for name, given in row["detail"].items() if name != "ids")
        say(f"{row['audit_id']}  {clock(row['at'])}  {row['actor']}  {row['command']}  {clip(detail, 100)}".rstrip())
    if len(rows) == limit:
        say(f"older ones: revpipe audit --before {rows[-1]['audit_id']}")
    if not rows:
        say("nobody did anything by hand" if before is None else "nothing before that")
