"""`revpipe deadletters`: work that will not succeed by itself."""

import uuid

import click

from revpipe import dead_letters
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.story.words import clock
from revpipe.terminal import say


@click.group()
def deadletters() -> None:
    """Work that will not succeed by itself."""


@deadletters.command("list")
@click.option("--json", "json_", is_flag=True, help="For machines.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
def list_(json_: bool, limit: int) -> None:
    """Open dead letters, the newest in front."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = dead_letters.listing(tx, limit=limit)
    if json_:
        as_json(rows)
        return
    for row in rows:
        times = f" ({row['times']} times)" if row["times"] > 1 else ""
        say(
            f"{row['letter_id']}  {clock(row['last_at'])}  {row['stage']:<8} {row['source'] or '-':<8}"
            f" {row['reason']}{times}: {row['error'].splitlines()[0][:100]}"
        )
    if not rows:
        say("no open dead letters")


@deadletters.command()
@click.argument("letter_id", type=click.UUID)
@click.option("--json", "json_", is_flag=True, help="For machines.")
def show(letter_id: uuid.UUID, json_: bool) -> None:
    """One dead letter whole: error, traceback, and what it was about."""
    with ledger() as services, transaction(services.engine) as tx:
        letter = dead_letters.show(tx, letter_id)
    if letter is None:
        raise click.ClickException(f"no dead letter has the id {letter_id}")
    if letter["message"] is not None:
        letter["message"] = bytes(letter["message"]).decode("utf-8", "backslashreplace")
    if json_:
        as_json(letter)
        return
    for name, value in letter.items():
        if value not in (None, {}, ""):
            say(f"{name}: {value}")
