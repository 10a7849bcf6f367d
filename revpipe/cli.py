"""The `revpipe` command. Each group of commands is a file in revpipe/commands/."""

import sys

import click
from sqlalchemy.exc import InterfaceError, OperationalError

from config.settings import SettingsError
from revpipe.commands import (
    actions,
    approvals,
    audit,
    balance,
    deadletters,
    demo,
    drill,
    ledger,
    processes,
    queues,
    replay,
    rules,
    signals,
    trace,
    up,
)
from revpipe.errors import Misconfigured, RevpipeError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="revpipe")
def cli() -> None:
    """From a revenue team's signals to the right actions, within 15 minutes, each one explained."""


for command in (
    up.up,
    demo.demo,
    trace.trace,
    signals.signals,
    approvals.approvals,
    actions.actions,
    deadletters.deadletters,
    replay.replay,
    audit.audit,
    rules.rules,
    queues.queues,
    balance.balance,
    drill.drill,
    ledger.migrate,
    processes.web,
    processes.worker,
    processes.keeper,
    processes.beat,
    processes.flower,
):
    cli.add_command(command)


def main() -> None:
    """Run the command; a fault that a person can mend is one message and exit 2, never a traceback."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except (SettingsError, Misconfigured, RevpipeError) as error:
        click.echo(f"revpipe: {error}", err=True)
        sys.exit(2)
    except (OperationalError, InterfaceError) as error:
        click.echo(f"revpipe: the database is gone or does not answer: {str(error.orig).splitlines()[0]}", err=True)
        click.echo("If revpipe up is just stopping or starting there, try again in a moment.", err=True)
        sys.exit(1)
