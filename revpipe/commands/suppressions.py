"""`revpipe suppressions`: addresses and domains that nothing is sent to."""

import click

from revpipe import audit
from revpipe import suppressions as suppressing
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.models.suppression import REASONS
from revpipe.story.words import clock
from revpipe.terminal import say


@click.group()
def suppressions() -> None:
    """Addresses and domains that nothing is sent to."""


@suppressions.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option("--after", default="", help="Go on behind this address.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def list_(limit: int, after: str, json_: bool) -> None:
    """The list in alphabetical order."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = suppressing.listing(tx, limit, after.strip().lower())
    if json_:
        as_json(rows)
        return
    for row in rows:
        say(f"{row['address']}  {row['reason']}  by {row['added_by']}, {clock(row['added_at'])}")
    if not rows:
        say("nobody is on the list")


@suppressions.command()
@click.argument("address")
@click.option("--reason", type=click.Choice(REASONS), default="do_not_contact", show_default=True)
@click.option("--json", "json_", is_flag=True, help="For machines.")
def add(address: str, reason: str, json_: bool) -> None:
    """Send nothing to ADDRESS, an e-mail address or a whole domain, from now on."""
    by = audit.user_here()
    with ledger() as services:
        now = services.clock.now()
        told = audit.told(services.engine, now, by, "suppressions add", {"reason": reason})
        with told as outcome, transaction(services.engine) as tx:
            outcome["added"] = suppressing.add(tx, address, reason, by, now)
    _tell(json_, outcome["added"], "added", "it is on the list already")


@suppressions.command()
@click.argument("address")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def remove(address: str, json_: bool) -> None:
    """Take ADDRESS off the list."""
    by = audit.user_here()
    with ledger() as services:
        told = audit.told(services.engine, services.clock.now(), by, "suppressions remove", {})
        with told as outcome, transaction(services.engine) as tx:
            outcome["removed"] = suppressing.remove(tx, address)
    _tell(json_, outcome["removed"], "removed", "it was not on the list")


def _tell(json_: bool, done: bool, word: str, otherwise: str) -> None:
    if json_:
        as_json({word: done})
    else:
        say(word if done else otherwise)
