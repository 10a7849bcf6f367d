"""`revpipe generate`: a ledger with a past, for development and measurement."""

import time
from dataclasses import asdict

import click

from revpipe import audit
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.generating import fill
from revpipe.services import Services
from revpipe.terminal import say

STRANGERS = (
    "this ledger holds signals that were not generated. Made-up ones would stand among them, in its balance and its"
    " lists, for good. If that is wanted, add --yes"
)


@click.command()
@click.option("--signals", type=click.IntRange(1_000, 10_000_000), default=1_000_000, show_default=True)
@click.option("--days", type=click.IntRange(1, 300), default=fill.DAYS, show_default=True, help="How far back.")
@click.option("--open", "open_", type=click.IntRange(0), help="How many have not ended; one in a hundred by default.")
@click.option("--yes", is_flag=True, help="Even among real signals.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def generate(signals: int, days: int, open_: int | None, *, yes: bool, json_: bool) -> None:
    """Fill the ledger with made-up signals of the last days, for development: never needed in production.

    Of those that are open some are due, parked, or left to a person. Workers that run here take them: they ask the CRM
    for deals that it does not have, and write to nobody.
    """
    if open_ is not None and open_ > signals:
        raise click.UsageError("--open can't be more than --signals")
    with ledger() as services:
        with transaction(services.engine) as tx:
            strangers = fill.foreign(tx)
        if strangers and not yes:
            raise click.ClickException(STRANGERS)
        wish = fill.Wish(signals, services.clock.now(), open_, days)
        seconds = _fill(services, wish, quiet=json_)
    if json_:
        as_json({**asdict(wish), "seconds": seconds})
    else:
        say(f"{signals} signals in {seconds:.0f} s; look: revpipe balance, revpipe signals, revpipe queues")


def _fill(services: Services, wish: fill.Wish, *, quiet: bool) -> float:
    detail = {"signals": wish.count, "days": wish.days, "open": wish.count - wish.closed}
    began = time.monotonic()
    with audit.told(services.engine, wish.now, audit.user_here(), "generate", detail) as outcome:
        fill.fill(services.engine, wish, _silent if quiet else _tell)
        outcome["signals"] = wish.count
    return round(time.monotonic() - began, 1)


def _silent(_: int) -> None:
    """Machines want the result only."""


def _tell(done: int) -> None:
    click.echo(f"  {done} signals", err=True)
